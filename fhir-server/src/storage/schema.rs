//! The tables as diesel sees them: those that fixed statements use. The index
//! tables are written in bulk by `index_tables` and read by rendered searches.

diesel::table! {
    resource (key) {
        key -> BigInt,
        #[sql_name = "ref"]
        reference -> BigInt,
        #[sql_name = "type"]
        type_code -> Integer,
        id -> Text,
        version -> BigInt,
        updated -> BigInt,
        operation -> Integer,
        deleted -> Bool,
        hole -> BigInt,
        body -> Nullable<Binary>,
        index_keys -> Binary,
    }
}

diesel::table! {
    version (updated) {
        updated -> BigInt,
        superseded -> BigInt,
        key -> BigInt,
        #[sql_name = "version"]
        number -> BigInt,
        #[sql_name = "type"]
        type_code -> Integer,
        operation -> Integer,
        deleted -> Bool,
        hole -> BigInt,
        body -> Nullable<Binary>,
    }
}

diesel::table! {
    counter (type_code) {
        #[sql_name = "type"]
        type_code -> Integer,
        live -> BigInt,
    }
}

diesel::table! {
    setting (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::joinable!(version -> resource (key));
diesel::allow_tables_to_appear_in_same_query!(resource, version);
