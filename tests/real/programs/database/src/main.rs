//! SQLite, its C sources bundled, through rusqlite and through diesel's derives.
use diesel::prelude::*;

mod schema {
    diesel::table! {
        towns (id) {
            id -> Integer,
            name -> Text,
            people -> BigInt,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = schema::towns)]
struct Town {
    id: i32,
    name: String,
    people: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plain = rusqlite::Connection::open_in_memory()?;
    plain.execute_batch("create table t (a integer); insert into t values (1), (2), (39)")?;
    let sum: i64 = plain.query_row("select sum(a) from t", [], |row| row.get(0))?;
    println!("rusqlite {sum}, sqlite {}", rusqlite::version());

    let mut db = diesel::sqlite::SqliteConnection::establish(":memory:")?;
    diesel::sql_query("create table towns (id integer primary key, name text not null, people bigint not null)")
        .execute(&mut db)?;
    for (id, name, people) in [(1, "Ulm", 128_928), (2, "Jena", 110_791)] {
        let town = Town { id, name: name.to_string(), people };
        diesel::insert_into(schema::towns::table).values(&town).execute(&mut db)?;
    }
    use schema::towns;
    let found = towns::table
        .filter(towns::people.gt(1000))
        .order(towns::name.asc())
        .select(Town::as_select())
        .load(&mut db)?;
    for town in found {
        println!("{} {} {}", town.id, town.name, town.people);
    }
    Ok(())
}
