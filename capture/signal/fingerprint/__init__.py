"""What a probe says the knobs really are, against what the label claims."""
