"""The demo: the model case played on a control plane that comes and goes with it."""
