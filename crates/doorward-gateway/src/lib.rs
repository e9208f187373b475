//! What applications get in place of a client's credential: tokens signed here, tokens exchanged elsewhere, and
//! handles in place of what an authorization server behind us hands out. Who the client is, and whether it may pass,
//! has been decided before.
