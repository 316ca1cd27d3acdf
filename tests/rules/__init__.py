"""
Cases for each alert, as ``promtool test rules`` takes them.

A case tells of one operator in cluster ``a``: how it is when all is well, what goes wrong, and that it is well again.
From that a test is made in which, beside it, cluster ``b`` is well all the time, and in which another replica takes
over just before the alert is to fire. So each alert is shown to keep clusters apart and to outlive a change of leader.
"""
