"""PathNet: layers of modules, and the paths through them (Fernando et al. 2017)."""
