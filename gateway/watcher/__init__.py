"""conf.d -> snapshot, again and again; last good kept, tenant by tenant.

folder      what lies in conf.d, read whole
loading     files -> the next generation; `check` and `explain` load the same way
watching    when to look again
"""
