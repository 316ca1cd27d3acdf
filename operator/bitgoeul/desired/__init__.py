"""
What has to stand in the cluster: one pure builder per child object, and the question whether it does.

Builders give plain dicts, ready for server-side apply as ``names.FIELD_MANAGER``. Whatever the API server would fill
in or rewrite is written out already (defaults, API groups, quantities in canonical spelling), so that
``drift.differs`` settles after one write. Where an empty list or mapping is written, emptiness is meant: what
somebody else adds there is taken back.
"""
