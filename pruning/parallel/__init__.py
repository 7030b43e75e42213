"""Data-parallel training: several processes of one machine train one network together."""
