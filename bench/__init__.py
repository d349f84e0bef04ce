"""What the gateway costs, beside nginx: `python -m bench`.  See README.md.

Outermost first: `__main__` takes arguments, `comparing` and `memory` are the two kinds of run, `servers`
starts what they need, `load` and `upstream` are the two ends, each a process of its own on the load's core;
`answers` judges what came; `measure` and `table` turn clocks and samples into figures.
"""
