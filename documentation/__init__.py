"""Hooks of MkDocs that complete the site: pages made of files outside `docs/`, and pages that the code defines."""
