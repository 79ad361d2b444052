export function showMap(place) { place.textContent = "map"; }
