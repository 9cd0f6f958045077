#!/bin/sh
# Draws the PNG, ICO and ICNS icons from icon.svg. Needs rsvg-convert and ImageMagick; run it after changing the drawing.
set -eu
cd "$(dirname "$0")"
for size in 32 64 128 256 512; do
  rsvg-convert --width "$size" --height "$size" --output "$size.png" icon.svg
done
mv 32.png 32x32.png
mv 64.png 64x64.png
mv 128.png 128x128.png
mv 256.png 128x128@2x.png
mv 512.png icon.png
convert 32x32.png 64x64.png 128x128@2x.png icon.ico
