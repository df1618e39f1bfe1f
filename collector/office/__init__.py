"""The back office: the API under /v1 and the page for people.

Whoever writes by API shows a key (`auth`, `keys`) and what was looked at (`guarded`); what is written, other rooms do.
"""
