// @ts-check
// Sentences of the server in German. As in gettext the English sentence is the key; `{}` stands for a value. A test
// makes sure that the server still says each of them; what is not here is shown in English.

/** @type {[string, string][]} */
export const SENTENCES = [
  // requests that were refused
  ["the server is shutting down", "der Server wird gerade beendet"],
  ["the server is too busy: try again later", "der Server ist überlastet: versuchen Sie es später noch einmal"],
  ["too many requests of this kind ({}) are waiting: try again in a moment", "zu viele Anfragen dieser Art ({}) warten: versuchen Sie es gleich noch einmal"],
  ["too many searches are waiting: try again in a moment", "zu viele Suchen warten: versuchen Sie es gleich noch einmal"],
  ["too many exports are running: try again in a moment", "zu viele Exporte laufen: versuchen Sie es gleich noch einmal"],
  ["too many changes are waiting: try again later", "zu viele Änderungen warten: versuchen Sie es später noch einmal"],
  ["too much is being uploaded at the moment: try again later", "gerade wird zu viel hochgeladen: versuchen Sie es später noch einmal"],
  ["{}: wait {} s", "{}: warten Sie {} s"],
  ["too many requests from your address", "zu viele Anfragen von Ihrer Adresse"],
  ["too many wrong tokens from your address", "zu viele falsche Token von Ihrer Adresse"],
  ["internal error; the server's log says more", "ein Fehler im Server; mehr steht in seinem Protokoll"],
  ["this server is read-only: start it with --writable to change the library", "dieser Server ist schreibgeschützt: starten Sie ihn mit --writable, um die Bibliothek zu ändern"],
  ["the token is wrong: it was shown when the server started", "das Token ist falsch: der Server hat es beim Start gezeigt"],
  ["the token is wrong", "das Token ist falsch"],
  ["this server needs its token", "dieser Server verlangt sein Token"],
  ["the image cannot be used: {}", "das Bild kann nicht verwendet werden: {}"],
  ["{} cannot be stored: {}", "{} kann nicht gespeichert werden: {}"],
  ["too large: a request may send at most {} here", "zu groß: eine Anfrage darf hier höchstens {} senden"],
  ["the upload {}… is not known (any more): send the image again", "das hochgeladene Bild {}… ist nicht (mehr) bekannt: senden Sie es noch einmal"],
  ["the library has no image with the id {}", "die Bibliothek hat kein Bild mit der Nummer {}"],
  ["the file of image {} is gone: index its folder again", "die Datei des Bilds {} ist fort: erfassen Sie ihren Ordner neu"],
  ["the file of image {} is not in the library's folder", "die Datei des Bilds {} ist nicht im Ordner der Bibliothek"],
  ["hits end at {}: filter with `where` instead", "nach {} Treffern ist Schluss: filtern Sie stattdessen"],
  ["hits of a query in another order come in one page: raise k instead", "in einer anderen Reihenfolge gibt es nur diese Treffer"],
  ["there are {} saved searches: delete some first", "es gibt schon {} gespeicherte Suchen: löschen Sie erst einige"],
  ["no group {} was found lately: ask GET /api/duplicates first", "die Gruppe {} gibt es nicht mehr: laden Sie die Seite neu"],
  ["the library has no vectors of {} to explain; there are: {}", "die Bibliothek hat keine Vektoren von {}, die sich erklären ließen; es gibt: {}"],
  // filters and words
  ["the filter, at character {}: {}: {}⟪here⟫{}", "im Filter, Zeichen {}: {}: {}⟪hier⟫{}"],
  ["the filter is empty; write for example: kind = 'shoe' and price < 50", "der Filter ist leer; ein Beispiel: kind = 'shoe' and price < 50"],
  ["{}, expected {}", "{}, erwartet: {}"],
  ["found {}", "gefunden: {}"],
  ["the filter ends", "der Filter endet"],
  ["the name of a field", "der Name eines Felds"],
  ["a number or a text in single quotes", "eine Zahl oder ein Text in einfachen Anführungszeichen"],
  ["a pattern in single quotes", "ein Muster in einfachen Anführungszeichen"],
  ["and, or or the end", "and, or oder das Ende"],
  ["a field comes first; odd names are written in double quotes", "ein Feld steht vorn; ungewöhnliche Namen stehen in doppelten Anführungszeichen"],
  ["a quote opens here and is not closed (write it twice inside quotes)", "hier beginnt ein Anführungszeichen, das nicht geschlossen wird (innerhalb steht es doppelt)"],
  ["write the text in single quotes: '{}'", "schreiben Sie den Text in einfachen Anführungszeichen: '{}'"],
  ["write the date in single quotes: '{}'", "schreiben Sie das Datum in einfachen Anführungszeichen: '{}'"],
  ["{} is not allowed here", "{} ist hier nicht erlaubt"],
  ["no field {}{}; the fields: {}{}", "kein Feld {}{}; es gibt: {}{}"],
  ["the field {} holds numbers, such as {}: {}", "das Feld {} hat Zahlen, etwa {}: {}"],
  ["compare it with a number, without quotes", "vergleichen Sie es mit einer Zahl ohne Anführungszeichen"],
  ["patterns match texts only", "Muster passen nur auf Texte"],
  ["{} does not know '{}'", "{} kennt „{}“ nicht"],
  ["min_relevance needs {} images with vectors to judge a similarity, and {} has {}: leave it out", "um die Relevanz zu beurteilen, braucht es {} Bilder mit Vektoren, und {} hat {}: zeigen Sie alles"],
  ["min_relevance judges the similarity of images, and this query has only words: add an image, or leave it out", "die Relevanz beurteilt, wie ähnlich Bilder sind, und diese Anfrage hat nur Wörter: fügen Sie ein Bild hinzu, oder zeigen Sie alles"],
  ["to verify, the query needs an image", "zum Prüfen braucht die Anfrage ein Bild"],
  // duplicates: how files are related, which is kept, and why others stay
  ["the same bytes", "dieselben Bytes"],
  ["same image: {}", "dasselbe Bild: {}"],
  ["same image", "dasselbe Bild"],
  ["rotated", "gedreht"], ["mirrored", "gespiegelt"], ["lighter or darker", "heller oder dunkler"], ["without color", "ohne Farbe"],
  ["other colors", "andere Farben"], ["cropped", "beschnitten"], ["cropped ({} is shared)", "beschnitten ({} sind gemeinsam)"],
  ["framed or tilted", "gerahmt oder geneigt"], ["letters or lines over it", "mit Schrift oder Linien darüber"],
  ["{} of the image agrees", "{} des Bilds stimmen überein"],
  ["{} of the image is shared", "{} des Bilds sind gemeinsam"],
  ["{} of the image differs", "{} des Bilds sind anders"],
  ["less than 1 %", "weniger als 1 %"],
  ["stretched, and in another light", "gestreckt und in anderem Licht"],
  ["page or frame {} of {} differs", "die Seite {} von {} ist anders"],
  ["{} and {} pages or frames", "{} und {} Seiten"],
  ["taken {} s apart by one camera", "von einer Kamera im Abstand von {} s aufgenommen"],
  ["raw file of the same name", "Raw-Datei desselben Namens"],
  ["video of the same name", "Video desselben Namens"],
  ["stays: an edit", "bleibt: eine Bearbeitung"], ["stays: another image", "bleibt: ein anderes Bild"], ["stays: the file to keep is missing", "bleibt: die Datei zum Behalten fehlt"],
  ["in the archive", "im Archiv"], ["marked to be kept", "zum Behalten markiert"], ["stays: belongs to the image", "bleibt: gehört zum Bild"],
  ["stays: a frame of a video", "bleibt: ein Bild eines Videos"], ["stays: a page of a file", "bleibt: eine Seite einer Datei"],
  ["stays: reached through a link, or has other hard links", "bleibt: über einen Link erreicht, oder mit weiteren Hardlinks"],
  ["stays: {}", "bleibt: {}"],
  ["the first by its path", "die erste nach ihrem Pfad"],
  ["in {}, as preferred", "in {}, wie bevorzugt"],
  ["the camera's original ({})", "das Original der Kamera ({})"],
  ["the camera's {}", "das {} der Kamera"],
  ["its raw file is beside it", "daneben liegt die Raw-Datei"],
  ["in color", "in Farbe"], ["more detail", "mehr Einzelheiten"], ["lossless", "verlustfrei"], ["has the place of the shot", "mit dem Ort der Aufnahme"],
  ["others were enlarged from it", "andere wurden daraus vergrößert"], ["{}, from which others were converted", "{}, woraus andere umgewandelt wurden"],
  ["other paths lead to this file", "andere Pfade führen zu dieser Datei"], ["the older file", "die ältere Datei"], ["the larger file", "die größere Datei"],
  ["the others are named as copies", "die anderen heißen wie Kopien"],
  ["crops, frames and tilted copies were not searched for; use --thorough", "Ausschnitte, Rahmen und geneigte Kopien wurden nicht gesucht; lookalike duplicates --thorough sucht sie"],
  ["crops and frames are found with one more extractor: `lookalike index --extractor lookalike`", "Ausschnitte und Rahmen findet ein weiterer Extraktor: `lookalike index --extractor lookalike`"],
  ["it has changed since it was indexed: run `lookalike index`", "sie ist seit der Erfassung geändert: `lookalike index` erfasst sie neu"],
  ["it is the file to keep", "es ist die Datei, die bleibt"],
  ["cannot be moved to the trash: {}; use --move-to DIR", "kann nicht in den Papierkorb: {}; lookalike duplicates --move-to verschiebt sie anderswohin"],
  ["no permission to change the folder {}", "keine Berechtigung, den Ordner {} zu ändern"],
  // files that could not be indexed
  ["is empty (0 bytes); copy or download it again", "ist leer (0 Bytes); kopieren oder laden Sie sie noch einmal"],
  ["the end of the file is missing; copy or download it again", "das Ende der Datei fehlt; kopieren oder laden Sie sie noch einmal"],
  ["the {} data is damaged or of an unusual kind{}; try to open it elsewhere and save it again", "die {}-Daten sind beschädigt oder ungewöhnlich{}; öffnen Sie die Datei anderswo und speichern Sie sie neu"],
  ["contains only zeros (lost by a disk or a copy); restore it from a backup", "enthält nur Nullen; holen Sie sie aus einer Sicherung"],
  ["contains a web page; download the image itself", "enthält eine Webseite; laden Sie das Bild selbst"],
  ["its content is not in a supported format; open it elsewhere and save it as JPEG", "der Inhalt hat kein unterstütztes Format; öffnen Sie sie anderswo und speichern Sie sie als JPEG"],
  ["has {}×{} = {} megapixels, more than {}; save it smaller, or index it with a higher --max-pixels", "hat {}×{} = {} Megapixel, mehr als {}; speichern Sie sie kleiner, oder erfassen Sie sie mit höherem --max-pixels"],
  ["needs more memory than is allowed; save it smaller, or index with a higher --max-memory", "braucht mehr Speicher als erlaubt; speichern Sie sie kleiner, oder erfassen Sie sie mit höherem --max-memory"],
  ["no permission to read it", "keine Leseberechtigung"],
  ["{}; change its permissions", "{}; ändern Sie die Berechtigungen"],
  ["there is no file at this path (any more); check the path, or connect its drive", "an diesem Pfad ist keine Datei (mehr); prüfen Sie ihn, oder schließen Sie das Laufwerk an"],
  // explanations
  ["the similarity drops most when these places are covered", "die Ähnlichkeit sinkt am meisten, wenn diese Stellen verdeckt werden"],
  ["these pixels have the colours that the images share", "diese Pixel haben die Farben, die beide Bilder haben"],
  ["edges run in the same directions here", "hier verlaufen Kanten in denselben Richtungen"],
  ["keypoints that match and agree on one transform", "Merkpunkte, die zueinander passen, auch in ihrer Lage"],
  ["keypoints that match, without a common transform", "Merkpunkte, die zueinander passen, aber nicht in ihrer Lage"],
  // jobs
  ["{} {} moved to the trash", "{} Dateien im Papierkorb"],
  ["{} images", "{} Bilder"], ["{} groups", "{} Gruppen"],
  ["{} files put back", "{} Dateien zurückgelegt"],
  ["cancelled before its turn came", "abgebrochen, bevor die Aufgabe an der Reihe war"],
  ["cancelled; {}", "abgebrochen; {}"],
  ["what was finished is stored", "was fertig war, ist gespeichert"],
  ["the process that did the job ended unexpectedly", "der Prozess der Aufgabe endete unerwartet"],
];

const escaped = (text) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
// The first value is the shortest one: after it follows what has colons of its own.
/** @type {[RegExp, string][]} */
const patterns = SENTENCES.map(([english, german]) => [new RegExp(`^${escaped(english).replace("{}", "(.*?)").replaceAll("{}", "(.*)")}$`, "s"), german]);

/** Return a sentence of the server in German, or its parts if the whole is not known. */
export function translated(/** @type {string} */ text) {
  for (const [pattern, german] of patterns) {
    const found = pattern.exec(text);
    if (!found) continue;
    let place = 0;
    return german.replaceAll("{}", () => translated(found[place += 1]).replace(/^(\d+)%$/, "$1 %"));
  }
  const separator = ["; ", ", "].find((one) => text.includes(one));
  return separator ? text.split(separator).map(translated).join(separator) : text;
}
