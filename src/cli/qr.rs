//! QR codes: for a terminal by half blocks, and as SVG and PNG.

use std::fmt::Write as _;

use anyhow::Context as _;
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around a code: 4 (ISO/IEC 18004, section 5.3.8).
const QUIET: usize = 4;

/// A module of an image is 8 pixels wide: in a PNG of one bit a pixel, that is a byte.
const PIXELS: usize = 8;

/// A QR code, with the quiet zone around it: rows of modules, of which the dark ones are true.
pub(super) struct Modules(Vec<Vec<bool>>);

impl Modules {
    /// The code of a text.
    ///
    /// # Errors
    ///
    /// When the text is longer than any code.
    pub(super) fn of(text: &str) -> anyhow::Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).context("making a QR code")?;
        let (width, colors) = (code.width(), code.to_colors());
        let side = width + 2 * QUIET;
        let mut rows = vec![vec![false; side]; side];
        for (row, colors) in rows.iter_mut().skip(QUIET).zip(colors.chunks(width)) {
            for (module, color) in row.iter_mut().skip(QUIET).zip(colors) {
                *module = *color == Color::Dark;
            }
        }
        Ok(Self(rows))
    }

    /// For a terminal, two rows of modules in one of characters. Most terminals are dark: what is drawn is what is light.
    pub(super) fn for_terminal(&self) -> String {
        let line = |pair: &[Vec<bool>]| -> String {
            let nothing = vec![true; self.0.len()];
            let (upper, lower) = (&pair[0], pair.get(1).unwrap_or(&nothing));
            let modules = upper.iter().zip(lower).map(|module| match module {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
            modules.collect()
        };
        self.0.chunks(2).map(line).collect::<Vec<_>>().join("\n")
    }

    /// As an image in SVG.
    pub(super) fn to_svg(&self) -> String {
        let side = self.0.len();
        let mut path = String::new();
        for (y, row) in self.0.iter().enumerate() {
            for (x, _) in row.iter().enumerate().filter(|(_, is_dark)| **is_dark) {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{x} {y}h1v1h-1z");
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{size}\" height=\"{size}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>\n",
            size = side * PIXELS
        )
    }

    /// As an image in PNG, of one bit a pixel.
    ///
    /// # Errors
    ///
    /// When it cannot be encoded, which no code is too large for.
    pub(super) fn to_png(&self) -> anyhow::Result<Vec<u8>> {
        let side = u32::try_from(self.0.len() * PIXELS).context("making an image")?;
        let pixels = |row: &Vec<bool>| -> Vec<u8> {
            row.iter().map(|is_dark| if *is_dark { 0 } else { u8::MAX }).collect()
        };
        let rows: Vec<u8> = self.0.iter().flat_map(|row| pixels(row).repeat(PIXELS)).collect();
        let mut image = Vec::new();
        let mut encoder = png::Encoder::new(&mut image, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header().context("making an image")?;
        writer.write_image_data(&rows).context("making an image")?;
        writer.finish().context("making an image")?;
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    /// The three corners by which a code is found: seven modules wide, dark around light around dark.
    const CORNER: [bool; 7] = [true, false, true, true, true, false, true];

    #[test]
    fn a_code_is_a_square_with_its_corners_and_a_quiet_zone() {
        let Modules(rows) = Modules::of("Bridge hexchat").unwrap();
        assert!(rows.iter().all(|row| row.len() == rows.len()));
        let middle = &rows[QUIET + 3];
        assert_eq!(middle[QUIET..QUIET + 7], CORNER);
        assert_eq!(middle[rows.len() - QUIET - 7..rows.len() - QUIET], CORNER);
        assert!(rows[..QUIET].iter().flatten().all(|is_dark| !is_dark));
        assert!(rows.iter().all(|row| !row[0] && !row[rows.len() - 1]));
    }

    #[test]
    fn a_terminal_shows_two_rows_in_one() {
        let modules = Modules(vec![vec![true, false], vec![false, true]]);
        assert_eq!(modules.for_terminal(), "▄▀");
        let odd = Modules(vec![vec![true], vec![false], vec![false]]);
        assert_eq!(odd.for_terminal(), "▄\n▀");
    }

    #[test]
    fn a_png_has_each_module_eight_pixels_wide_and_high() {
        let modules = Modules(vec![vec![true, false], vec![false, true]]);
        let image = modules.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(image)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.line_size), (16, 16, 2));
        assert_eq!(pixels, [[0, 255].repeat(8), [255, 0].repeat(8)].concat());
    }

    #[test]
    fn an_svg_has_each_dark_module() {
        let modules = Modules(vec![vec![true, false], vec![false, true]]);
        let svg = modules.to_svg();
        assert!(svg.contains("d=\"M0 0h1v1h-1zM1 1h1v1h-1z\""), "{svg}");
    }
}
