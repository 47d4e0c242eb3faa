// Ttrpc
