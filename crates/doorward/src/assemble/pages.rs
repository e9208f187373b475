//! Options of the pages.

use std::{io::ErrorKind, path::Path};

use base64_simd::STANDARD;
use doorward_options::Options;
use doorward_server::pages::{Config, CustomTemplates, ErrorDetails, Logo, Pages, PasswordForm, Text};
use doorward_template::words::{Message, PageLanguage, Words};

use super::problems::Problems;

pub(crate) fn config(options: &Options, provider_name: String, problems: &mut Problems<'_>) -> Option<Pages> {
    let logo = logo(&options.custom_sign_in_logo, problems);
    let custom = custom_templates(&options.custom_templates_dir, problems)?;
    let language = language(options, problems);
    let config = Config {
        prefix: options.proxy_prefix.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        provider_name,
        custom,
        banner: banner(options),
        footer: options.footer.clone(),
        logo: logo?,
        password_form: if options.display_htpasswd_form { PasswordForm::Shown } else { PasswordForm::Hidden },
        details: if options.show_debug_on_error { ErrorDetails::Shown } else { ErrorDetails::LogOnly },
        language: language?,
    };
    let parsed = Pages::new(config).map_err(|error| format!("a template cannot be used: {error}"));
    problems.take(
        "custom-templates-dir",
        parsed,
        "correct the template, or remove the file to use the default page",
    )
}

/// The language of our own pages.
pub(crate) fn language(options: &Options, problems: &mut Problems<'_>) -> Option<PageLanguage> {
    let setting = &options.page_language;
    let parsed = setting.parse().map_err(|error| format!("the language {setting:?} is not known: {error}"));
    problems.take("page-language", parsed, "name one of these, or auto for the one that browsers ask for")
}

/// The sentence above the button, as the reference words it.
fn banner(options: &Options) -> Text {
    match options.banner.as_str() {
        "-" => Text::None,
        "" => default_banner(options),
        html => Text::Html(html.to_owned()),
    }
}

fn default_banner(options: &Options) -> Text {
    if !options.authenticated_emails_file.is_empty()
        || options.email_domains.iter().any(|domain| domain == "*")
    {
        return Text::None;
    }
    match options.email_domains.as_slice() {
        [] => Text::None,
        [domain] => Text::Plain(Words::from(Message::AuthenticateUsing).with("domain", domain)),
        several => {
            Text::Plain(Words::from(Message::AuthenticateUsingOneOf).with("domains", several.join(", ")))
        }
    }
}

/// A file that is missing leaves the default; one that cannot be read is a mistake.
fn custom_templates(folder: &str, problems: &mut Problems<'_>) -> Option<CustomTemplates> {
    if folder.is_empty() {
        return Some(CustomTemplates::default());
    }
    let mut read = |name: &str| match problems.read_text(Path::new(folder).join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => {
            let message = format!("the template {name} in {folder:?} cannot be read: {error}");
            problems.add("custom-templates-dir", message, "make the file readable");
            Err(())
        }
    };
    let (sign_in, error, robots) = (read("sign_in.html"), read("error.html"), read("robots.txt"));
    Some(CustomTemplates { sign_in: sign_in.ok()?, error: error.ok()?, robots: robots.ok()? })
}

fn logo(setting: &str, problems: &mut Problems<'_>) -> Option<Logo> {
    const MEND: &str = "name an .svg, .png, .jpg or .jpeg file, write an https:// URL, or - for no logo";
    let image = |source: &str| {
        let source = doorward_template::escape_html(source);
        Logo::Html(format!("<img src=\"{source}\" alt=\"Logo\">"))
    };
    match setting {
        "" => return Some(Logo::Default),
        "-" => return Some(Logo::None),
        url if url.starts_with("https://") => return Some(image(url)),
        _ => {}
    }
    let extension = Path::new(setting).extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let media_type = match extension.to_ascii_lowercase().as_str() {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => {
            problems.add(
                "custom-sign-in-logo",
                format!("the logo {setting:?} has an unknown file type"),
                MEND,
            );
            return None;
        }
    };
    let read =
        problems.read(setting).map_err(|error| format!("the logo {setting:?} cannot be read: {error}"));
    let bytes = problems.take("custom-sign-in-logo", read, MEND)?;
    Some(image(&format!("data:{media_type};base64,{}", STANDARD.encode_to_string(bytes))))
}
