"""Training of networks on a folder of photographs: ``fastrestore train``."""
