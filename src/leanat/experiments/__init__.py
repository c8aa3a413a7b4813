"""From the configuration to runs, evaluations and items; imports no torch but where a spec becomes objects."""
