//! Pictures of the window in both looks and both sizes, kept in `$LORIKEET_SHOTS` to be looked at; where it is not set, only
//! what can be measured is checked: that nothing lies outside the window.

use std::{env, path::PathBuf};

use crate::window::{SOON, Window};

/// The window's usual size and its smallest, in pixels.
const SIZES: [(u32, u32); 2] = [(1440, 900), (960, 640)];

/// A picture of this size or less shows a surface that is not drawn yet.
const BLANK_BYTES: usize = 12_000;

impl Window {
    /// Keeps a picture of the window as it is.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("LORIKEET_SHOTS").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).unwrap();
        for _ in 0..8 {
            // A picture that cannot be taken is no reason to fail.
            let _ = self.driver.execute_async(PAINTED, vec![]).await;
            let Ok(png) = self.driver.screenshot_as_png().await else { continue };
            let is_drawn = png.len() > BLANK_BYTES;
            std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
            if is_drawn {
                return;
            }
        }
    }

    /// Gives the window another size and waits until the page has it.
    pub async fn resize(&self, width: u32, height: u32) {
        self.driver.set_window_rect(40, 40, width, height).await.unwrap();
        let script = "return [innerWidth, innerHeight].join()";
        let wanted = format!("{width},{height}");
        self.wait("the new size", SOON, async || (self.script(script).await == wanted.as_str()).then_some(())).await;
    }

    /// Lets colours change at once, so that what is measured is not half way between two looks.
    pub async fn without_transitions(&self) {
        let style = "const style = document.createElement('style');
            style.textContent = '*, ::before, ::after { transition: none !important; animation: none !important }';
            document.head.append(style)";
        self.script(style).await;
    }

    /// Shows this place in every size and look: nothing may lie beside the window. Keeps pictures of it.
    pub async fn look_at(&self, name: &str) {
        for theme in ["light", "dark"] {
            self.script(&format!("document.documentElement.dataset.theme = {theme:?}")).await;
            for (width, height) in SIZES {
                self.resize(width, height).await;
                let beside = self.script(BESIDE).await;
                assert_eq!(beside, serde_json::json!([]), "{name} at {width} × {height}: beside the window");
                self.picture(&format!("{name}-{width}-{theme}")).await;
            }
        }
        self.script("document.documentElement.dataset.theme = 'light'").await;
        self.resize(1440, 900).await;
    }
}

/// Answers when what was last changed has been painted.
const PAINTED: &str = "
const done = arguments[arguments.length - 1];
setTimeout(done, 2000);
document.fonts.ready.then(() => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 150))));
";

/// Controls and headings that cannot be reached because they lie outside the window sideways, and what scrolls sideways.
const BESIDE: &str = r#"
const page = document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [];
const seen = [...document.querySelectorAll('main button, main a, main input, main h1, main h2')].filter((e) => e.checkVisibility() && !e.closest('.sr'));
const cut = [...document.querySelectorAll('main h1, main h2, main button')].filter((e) => e.checkVisibility() && !e.closest('.sr') && !e.querySelector('.cut') && getComputedStyle(e).overflowX === 'visible' && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline').map((e) => 'runs over its place: ' + e.outerHTML.slice(0, 120));
return page.concat(cut, seen.filter((e) => { const b = e.getBoundingClientRect(); return b.width > 0 && (b.right > innerWidth + 1 || b.left < -1); }).map((e) => e.outerHTML.slice(0, 120)));
"#;
