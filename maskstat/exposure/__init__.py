"""What training sees: crops of rescaled masks, drawn by samplers, in batches.

`recipe` says what lies between masks and the loss; `mask_exposure` is what it makes of one mask;
`counts` adds masks up.
"""
