"""The analyst's console: pages rendered here, over the same engine calls as the API."""
