"""From facts and a target to ordered steps: what to change, why, when it counts, what it costs, how it comes back.

    rows    one setting each: its present value, the ceilings it answers, where it is kept
    solve   all rows together, until nothing more is to be raised
    after   the facts as they would be: Situation -> Situation
    steps   what was solved -> steps, layer by layer
    render  steps -> text of files and lines

Reads nothing and writes nothing.
"""
