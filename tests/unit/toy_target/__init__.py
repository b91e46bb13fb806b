"""A target from outside of components/, written by the steps of CONTRIBUTING.md. Its servers exist only in mocks."""
