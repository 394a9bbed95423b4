"""The digital actors: attributes in, picture out. Ours, not the paper's."""
