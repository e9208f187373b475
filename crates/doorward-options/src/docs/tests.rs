use super::*;

#[test]
fn help_names_every_flag_and_variable() {
    let help = help();
    for def in OPTIONS {
        assert!(help.contains(&format!("--{} ", def.flag)), "{}", def.flag);
        assert!(def.env.is_none_or(|env| help.contains(env)), "{}", def.flag);
    }
}

#[test]
fn every_row_of_the_page_has_six_cells() {
    for def in OPTIONS {
        let row = row(def);
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 7, "{row}");
    }
}
