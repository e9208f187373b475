//! The gateway: `gateway` of doorward.yaml. Everything that can be checked without contacting anybody is checked here.

use doorward_options::structured::own::Own;

use super::problems::Problems;

/// Checks the configuration. Routes are not put to work yet, and nobody is to believe that they were.
pub(crate) fn check(own: Option<&Own>, problems: &mut Problems<'_>) {
    if own.and_then(|own| own.gateway.as_ref()).is_some() {
        let message = "this version reads routes, and cannot put them to work";
        problems.add("gateway", message, "leave it out");
    }
}
