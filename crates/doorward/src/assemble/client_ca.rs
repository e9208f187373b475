//! The authorities whose client certificates are believed.

use doorward_authn::x509::ClientCa;

use super::problems::Problems;

/// Reads the PEM file that `<place>.clientCA` names, and the lists of revoked certificates of `<place>.crlFiles`.
pub(super) fn read(
    place: &str,
    (file, revocations): (&str, &[String]),
    problems: &mut Problems<'_>,
) -> Option<ClientCa> {
    let mut contents = |key: &str, path: &str| {
        let read = problems.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
        problems.take(&format!("{place}.{key}"), read, "name a file that the program may read")
    };
    if file.is_empty() {
        let message = "missing setting: without an authority anybody could say to be anybody";
        problems.add(&format!("{place}.clientCA"), message, "name a PEM file with its certificates");
        return None;
    }
    let authority = contents("clientCA", file);
    let lists: Vec<_> = revocations.iter().map(|path| contents("crlFiles", path)).collect();
    let lists: Option<Vec<_>> = lists.into_iter().collect();
    let read = ClientCa::from_pem(&authority?, &lists?);
    problems.take(
        &format!("{place}.clientCA"),
        read,
        "name PEM files with certificates of authorities and their lists",
    )
}
