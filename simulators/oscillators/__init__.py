"""Networks of oscillators and delay-line reservoirs."""
