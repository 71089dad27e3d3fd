"""What a library user holds and calls: everything that the command line can do, by the same words.

`maskstat` itself offers the names of this room and the values of the rooms below.
"""
