//! The services of the mesh, one line each.

use malla_runtime::module::Entry;

/// Every service, in the order they start: those that others call come first.
pub(crate) const MODULES: [Entry; 10] = [
    Entry::of::<malla_users::Users>(),
    Entry::of::<malla_availability::Availability>(),
    Entry::of::<malla_pricing::Pricing>(),
    Entry::of::<malla_comments::Comments>(),
    Entry::of::<malla_queue::Queue>(),
    Entry::of::<malla_files::Files>(),
    Entry::of::<malla_search::Search>(),
    Entry::of::<malla_beers::Beers>(),
    Entry::of::<malla_orders::Orders>(),
    Entry::of::<malla_operations::Operations>(),
];

/// The service that keeps calls for later.
pub(crate) const KEEPER: &str = "operations";

/// The service that issues tokens: every process that checks tokens links to it.
pub(crate) const AUTHORITY: &str = "users";
