"""Contract suites and verified fakes, for authors of plugins and for ourselves."""
