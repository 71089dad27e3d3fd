"""`maskstat schemes`: the weight schemes."""

from __future__ import annotations

from maskstat.cli.options import JsonOption, output, print_json

EXAMPLES = (
    "maskstat schemes",
    "maskstat schemes --json",
)


def command(json: JsonOption = False) -> int:
    """List the weight schemes.

    Name, formula, parameters with defaults, source. In the formulas, n_c: pixels of class c;
    N: all labelled pixels; p_c = n_c / N; m_c: masks that contain c; H_c: all pixels of those
    masks; K: classes that occur.
    """
    from maskstat.api.registries import schemes

    known = schemes()
    if json:
        print_json(
            [
                {
                    "scheme": scheme.name,
                    "formula": scheme.formula,
                    "summary": scheme.summary,
                    "parameters": scheme.parameters,
                    "source": scheme.source,
                }
                for scheme in known.values()
            ]
        )
        return 0
    from maskstat.render.terminal.scheme_tables import formula_table

    output().print(formula_table("scheme", known.values()))
    return 0
