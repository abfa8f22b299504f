"""Devices, checkpoints, files, metrics and progress: what runs need from the machine."""
