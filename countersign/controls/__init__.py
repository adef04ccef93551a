"""Controls asserted, each with a citation, and the gate that blocks what cannot be cited."""
