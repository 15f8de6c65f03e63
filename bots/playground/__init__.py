"""Three rooms in one page, with the manners of three platforms and no network."""
