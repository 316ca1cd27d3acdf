"""
What operations can see: figures for Prometheus, and whether the process lives and is ready.

Every family is declared once, with its labels and its meaning; the exposition and ``docs/metrics.md`` are made from the
same declarations. All of them are alpha: names and labels may still change, which the changelog then says.
"""
