"""The dataset folder: durable files, manifests, verification."""
