"""The back office: the read API under /v1 and the page for people; both show, neither changes a number."""
