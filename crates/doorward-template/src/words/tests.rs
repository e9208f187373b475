use super::*;
use crate::Value;

fn placeholders(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> =
        text.split('{').skip(1).map(|rest| rest.split_once('}').expect("it is closed").0).collect();
    found.sort_unstable();
    found
}

fn html(words: &Words, language: Language) -> String {
    match words.in_html(language) {
        Value::Html(html) => html,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_language_is_the_one_that_the_reader_likes_best() {
    use Language::{Chinese, English, French, German, Japanese, Korean, Spanish};
    for (lines, expected) in [
        (&[][..], English),
        (&[""], English),
        (&["de"], German),
        (&["DE"], German),
        (&["de-AT"], German),
        (&["de-Latn-CH-1901"], German),
        (&["zh-TW"], Chinese),
        (&["zh-Hant-HK;q=0.9, en;q=0.8"], Chinese),
        (&["es-419,es;q=0.9,en;q=0.8"], Spanish),
        (&["ja,en-US;q=0.9,en;q=0.8"], Japanese),
        (&["ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"], Korean),
        (&["fr-CA, fr;q=0.8, en;q=0.6"], French),
        (&["en;q=0.1, fr;q=0.2"], French),
        // What stands first wins among equals.
        (&["fr;q=0.5, de;q=0.5"], French),
        (&["fr", "de"], French),
        (&["fr;q=0.5", "de"], German),
        // What is not in the catalogue leads to the next wish.
        (&["da, sv;q=0.9, de;q=0.1"], German),
        (&["ar"], English),
        (&["deu"], English),
        // Everything else is as good.
        (&["*"], English),
        (&["de, *;q=0.5"], German),
        (&["da, *;q=0.5"], English),
        (&["en;q=0.1, *;q=0.5"], German),
        // What somebody does not want.
        (&["de;q=0"], English),
        (&["de-AT, de;q=0, fr;q=0.1"], French),
        (&["en;q=0, ja;q=0.001"], Japanese),
        (&["en;q=0"], English),
        (&["*;q=0"], English),
        // Weights (RFC 9110 section 12.4.2).
        (&["de;q=1.000, en"], German),
        (&["en;q=0.999, de;q=1"], German),
        (&["en;q=0., de;q=0.01"], German),
        (&["en; q=0.2 , de ; Q=0.3"], German),
        // What cannot be read counts for nothing.
        (&["de;q=2"], English),
        (&["de;q=1.001"], English),
        (&["de;q=0.1234"], English),
        (&["de;q=-1"], English),
        (&["de;q=+0.5"], English),
        (&["de;level=1"], English),
        (&["de;"], English),
        (&["de q=1"], English),
        (&["de_AT"], English),
        (&["<script>"], English),
        (&["toolonglanguage, ko"], Korean),
        (&[",,,;;;,-,de-,fr"], French),
    ] {
        assert_eq!(Language::accepted(lines.iter().copied()), expected, "{lines:?}");
    }
}

#[test]
fn an_endless_wish_list_is_cut() {
    let many = "da,".repeat(100_000);
    assert_eq!(Language::accepted([many.as_str(), "de"]), Language::English);
}

#[test]
fn the_operator_may_fix_the_language() {
    for (text, expected) in [
        ("", Ok(PageLanguage::Asked)),
        ("auto", Ok(PageLanguage::Asked)),
        ("ja", Ok(PageLanguage::Fixed(Language::Japanese))),
        ("EN", Ok(PageLanguage::Fixed(Language::English))),
        ("de-AT", Err(UnknownLanguage)),
        ("klingon", Err(UnknownLanguage)),
    ] {
        assert_eq!(text.parse(), expected, "{text}");
    }
    assert_eq!(PageLanguage::Fixed(Language::Korean).of(["de"]), Language::Korean);
    assert_eq!(PageLanguage::Asked.of(["de"]), Language::German);
    let all = UnknownLanguage.to_string();
    assert!(Language::ALL.iter().all(|language| all.contains(language.tag())), "{all}");
}

#[test]
fn every_message_says_something_in_every_language_with_the_same_placeholders() {
    for message in Message::ALL {
        let english = message.text(Language::English);
        for language in Language::ALL {
            let text = message.text(language);
            assert!(!text.trim().is_empty() && text.trim() == text, "{message:?} {language:?}");
            assert_eq!(placeholders(text), placeholders(english), "{message:?} {language:?}");
            // Markup stands in templates alone.
            assert!(!text.contains(['<', '>', '&', '"', '\'']), "{message:?} {language:?}: {text}");
            let end = |text: &str| text.ends_with(['.', '。']);
            assert_eq!(end(text), end(english), "{message:?} {language:?}: a sentence or none");
        }
    }
}

#[test]
fn other_languages_are_not_english() {
    let mut same = Vec::new();
    for message in Message::ALL {
        for language in Language::ALL.into_iter().skip(1) {
            if message.text(language) == message.text(Language::English) {
                same.push((message, language));
            }
        }
    }
    // The French minute is written as the English one.
    let expected = [(&Message::OneMinute, Language::French), (&Message::Minutes, Language::French)];
    assert_eq!(same, expected);
}

#[test]
fn languages_keep_to_their_scripts() {
    let is_kana = |c: char| ('\u{3040}'..='\u{30ff}').contains(&c);
    let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let is_hangul = |c: char| ('\u{ac00}'..='\u{d7a3}').contains(&c);
    for message in Message::ALL {
        let has = |language, is: fn(char) -> bool| message.text(language).contains(is);
        assert!(has(Language::Korean, is_hangul), "{message:?}");
        assert!(has(Language::Chinese, is_han) && !has(Language::Chinese, is_kana), "{message:?}");
        assert!(has(Language::Japanese, is_han) || has(Language::Japanese, is_kana), "{message:?}");
        for language in [Language::English, Language::German, Language::Spanish, Language::French] {
            assert!(!has(language, is_han) && !has(language, is_hangul), "{message:?} {language:?}");
        }
    }
}

#[test]
fn hostile_names_are_escaped_and_isolated_in_every_language() {
    let name = "<img src=x onerror=alert(1)>{user}\u{202e}&\"'";
    let escaped = escape_html(name);
    assert!(!escaped.contains(['<', '"', '\'']), "{escaped}");
    for message in Message::ALL {
        for language in Language::ALL {
            let names = placeholders(message.text(language));
            let words = names.iter().fold(Words::from(*message), |words, name| match *name {
                "user" => words.with("user", "<img src=x onerror=alert(1)>{user}\u{202e}&\"'"),
                name => words.with(
                    Message::ALL
                        .iter()
                        .flat_map(|message| placeholders(message.text(Language::English)))
                        .find(|known| *known == name)
                        .expect("it is one of ours"),
                    "<img src=x onerror=alert(1)>{user}\u{202e}&\"'",
                ),
            });
            let shown = html(&words, language);
            assert_eq!(shown.matches(&format!("<bdi>{escaped}</bdi>")).count(), names.len(), "{shown}");
            let strong = html(&Words::from(*message).with_strong("user", name), language);
            let expected = names.iter().filter(|name| **name == "user").count();
            let part = format!("<strong dir=\"auto\">{escaped}</strong>");
            assert_eq!(strong.matches(&part).count(), expected, "{strong}");
            assert!(!shown.contains("<img"), "{shown}");
            assert_eq!(words.in_text(language).matches(name).count(), names.len());
        }
    }
}

#[test]
fn what_is_not_ours_says_so() {
    let english = Words::english("set --x <here>");
    assert_eq!(html(&english, Language::English), "set --x &lt;here&gt;");
    assert_eq!(html(&english, Language::German), "<span lang=\"en\" dir=\"ltr\">set --x &lt;here&gt;</span>");
    let foreign = Words::Foreign("a<b".to_owned());
    assert_eq!(html(&foreign, Language::German), "<span dir=\"auto\">a&lt;b</span>");
    let latin = Words::from(Message::SignInWith).with("provider", "A & B");
    assert_eq!(html(&latin, Language::English), "Sign in with A &amp; B");
    for nothing in [Words::None, Words::english(""), Words::Foreign(String::new())] {
        assert!(nothing.is_empty());
        assert_eq!((html(&nothing, Language::Korean), nothing.in_text(Language::Korean)), Default::default());
    }
}

#[test]
fn a_value_is_no_sentence_and_a_missing_one_is_nothing() {
    let words = Words::from(Message::ClientAsks).with("client", "{user}");
    assert_eq!(words.in_text(Language::English), "The application {user} asks for access to your account .");
    assert_eq!(Words::None.with("client", "x"), Words::None);
}

#[test]
fn a_page_is_in_one_language_and_knows_its_messages() {
    let page = OwnPage::new(
        "p",
        "<html lang=\"{{.Lang}}\" dir=\"{{.Dir}}\"><p>{{.Words.SignIn}} {{.Name}}{{$.Words.Or}}",
    )
    .unwrap();
    let vars = BTreeMap::from([("Name".to_owned(), Value::from("<a>"))]);
    assert_eq!(
        page.render(Language::German, vars).unwrap(),
        "<html lang=\"de\" dir=\"ltr\"><p>Anmelden &lt;a&gt;oder"
    );
    // A misspelt name, and one whose placeholders nobody would fill.
    for name in ["Nonsense", "SignInWith", ""] {
        assert!(OwnPage::new("p", &format!("{{{{.Words.{name}}}}}")).is_err(), "{name}");
    }
}
