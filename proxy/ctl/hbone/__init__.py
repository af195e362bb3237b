"""`waypointctl hbone-get`: an HBONE client of its own, on another HTTP/2 stack than the data path's, on purpose."""
