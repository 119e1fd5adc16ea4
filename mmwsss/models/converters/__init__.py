"""Published weights of other projects under this project's names, one module a family."""
