"""Communities, posts, follows, mirrors, votes on posts."""
