// WebKitGTK reports the language "C" where LANG is C or unset; Intl refuses it and libraries that format numbers at import
// die with it. Imported before everything else.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true });
  Object.defineProperty(navigator, 'languages', { value: ['en-US'], configurable: true });
}
