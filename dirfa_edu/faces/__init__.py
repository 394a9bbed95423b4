"""Pictures of real people: landmarks, head pose and Action Units, identity, lip sync."""
