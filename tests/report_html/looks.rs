//! Whether the page is worth a look: what it says first, how small and odd fleets read, what paper shows.

use super::*;

/// Of so many families, each with as many images, and what else there is to say of a row.
fn equal_families(families: usize, each: usize) -> Vec<Value> {
    let mut rows: Vec<Value> = fleet::rows(300).into_iter().filter(|row| row["verdict"] == "base").collect();
    rows.truncate(1);
    let row = rows.remove(0);
    let one = |at: usize| {
        let mut row = row.clone();
        let family = format!("family{:03}", at % families);
        let name = format!("app{at:04}:1");
        (row["source"], row["image"]["names"]) = (json!(name), json!([name]));
        row["image"]["id"] = json!(fleet::id(&name));
        (row["family"], row["base"]["names"]) = (json!(family), json!([format!("{family}:1")]));
        row["base"]["lineage"] = json!([]);
        row
    };
    (0..families * each).map(one).collect()
}

/// The figures of the first screen, each with what it counts in the table when it is chosen.
const FIGURES: &str = "[...document.querySelectorAll('.tiles li, .steps li')].map((item) => { \
    const figure = Number(item.querySelector('strong').textContent.replace(/[^0-9]/g, '')); \
    const link = item.querySelector('a'); \
    if (!link || !link.matches('[data-answer], [data-outdated], [data-on], [data-remark]')) return null; \
    link.click(); \
    const found = document.querySelector('#found').textContent.match(/of ([0-9,]+) image/)[1].replace(',', ''); \
    return [figure, Number(found)]; }).filter(Boolean)";

#[test]
fn the_first_screen_says_how_many_on_what_and_what_to_do_first() {
    let world = World::new();
    let Some(page) = browser::open("the_first_screen_says", &judged(&world), (1280, 900)) else { return };
    page.wait(READY);
    let bottom = page.get("document.querySelector('#first').getBoundingClientRect().bottom");
    assert!(bottom.as_f64().unwrap() <= 900.0, "it ends at {bottom}");
    assert_eq!(
        page.text(".lead"),
        "Of 300 images, 249 (83.0 %) stand on a known base. For 135 of these (54.2 %) a newer base is stored. Half of them \
         stand on bases made 332 days ago or earlier."
    );
    assert_eq!(page.texts(".tiles strong"), ["300", "114", "135", "12", "17", "22"]);
    let steps = page.texts(".steps p");
    let begins = [
        "Bring within the policy policy.toml",
        "Renew the base platform/python:2025.10",
        "Renew the base ",
        "Find out what is under them",
        "Pin down the base",
    ];
    assert_eq!(steps.len(), begins.len(), "{steps:?}");
    for (step, begins) in steps.iter().zip(begins) {
        assert!(step.starts_with(begins), "{step}");
    }
    // What breaks the policy is told by rule, with figures.
    assert!(steps[0].contains("17 base outdated, "), "{}", steps[0]);
    let figures = page.get(FIGURES);
    let figures = figures.as_array().unwrap();
    assert_eq!(figures.len(), 10);
    for pair in figures {
        assert_eq!(pair[0], pair[1], "{figures:?}");
    }
    // All pieces of the bar are all images.
    let widths = page.get("[...document.querySelectorAll('.whole .fill')].map((piece) => parseFloat(piece.getAttribute('width'))).reduce((a, b) => a + b)");
    assert!((widths.as_f64().unwrap() - 100.0).abs() < 0.1, "{widths}");
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn of_many_families_alike_the_others_are_no_bar() {
    let world = World::new();
    let file = tell(&world, &equal_families(40, 3));
    let Some(page) = browser::open("of_many_families_alike", &file, WINDOW) else { return };
    page.wait(READY);
    let rows = page.texts("#families tbody tr");
    assert_eq!(rows.len(), 19);
    assert_eq!(rows[18], "22 other families3 images each, or fewer6655.0 %");
    let longest = page.get(
        "[...document.querySelectorAll('#families tbody svg')].map((bar) => bar.querySelector('rect').getAttribute('width'))",
    );
    assert_eq!(longest, json!(vec!["100.00%"; 18]));
}

#[test]
fn long_names_that_begin_alike_keep_their_ends() {
    let world = World::new();
    let mut rows = equal_families(40, 1);
    for (at, row) in rows.iter_mut().enumerate() {
        row["family"] = json!(format!("registry.example/platform/hardened/family-of-{at:02}"));
        let name = format!("registry.example/platform/engineering/delivery/service:2026.{at}");
        (row["source"], row["image"]["names"]) = (json!(name), json!([name]));
    }
    let Some(page) = browser::open("long_names_keep_their_ends", &tell(&world, &rows), (1280, 900)) else {
        return;
    };
    page.wait(READY);
    // The whole name is there to be read out and copied; what is seen ends as it ends.
    assert_eq!(page.text("#rows a"), "registry.example/platform/engineering/delivery/service:2026.0");
    let is_seen = page.get("[...document.querySelectorAll('#rows .clip')].filter((clip) => clip.parentElement.matches('a')).map((clip) => { \
        const range = document.createRange(); range.selectNodeContents(clip.lastChild); \
        return range.getBoundingClientRect().right <= clip.parentElement.getBoundingClientRect().right + 0.5; })");
    assert_eq!(is_seen, json!(vec![true; 25]));
    // Where there is no room for two ends, a name has two lines.
    page.resize((400, 900));
    page.wait("innerWidth === 400");
    let cut = "[...document.querySelectorAll('#families th, #families td')].filter((e) => e.scrollWidth > e.clientWidth + 1).length";
    assert_eq!(page.get(cut), 0);
    page.resize((1280, 900));
    page.wait("innerWidth === 1280");
    let fits = "document.querySelector('#table-box').scrollWidth <= document.querySelector('#table-box').clientWidth";
    assert_eq!(page.get(fits), true, "the table scrolls sideways");
}

#[test]
fn small_and_odd_fleets_are_told_in_words_that_fit() {
    let world = World::new();
    let based = equal_families(1, 1);
    let mut outdated = based.clone();
    outdated[0]["freshness"] = json!({ "newer": 2, "newest": null });
    let mut current = based.clone();
    current[0]["freshness"] = json!({ "newer": 0, "newest": null });
    let unknown = |images: usize| -> Vec<Value> {
        let mut rows = equal_families(1, images);
        for row in &mut rows {
            (row["verdict"], row["base"], row["family"], row["freshness"]) =
                (json!("none"), Value::Null, Value::Null, Value::Null);
            row["remarks"] = json!([]);
        }
        rows
    };
    let told = |rows: &[Value]| {
        let page = fs::read_to_string(tell(&world, rows)).unwrap();
        let between = |from: &str, to: &str| {
            let at = page.find(from).unwrap_or_else(|| panic!("{from} is not there")) + from.len();
            page[at..at + page[at..].find(to).unwrap()].to_owned()
        };
        // Verdicts of which there is no image are no row.
        let verdicts = page.matches("<span class=\"mark\" aria-hidden=\"true\">").count();
        (between("<p class=\"lead\">", "</p>"), verdicts, page.matches("<strong class=\"figure\">").count())
    };
    let (lead, verdicts, steps) = told(&outdated);
    assert!(lead.starts_with("This image stands on a known base. It was made "), "{lead}");
    assert!(lead.ends_with(" days ago. A newer one is stored."), "{lead}");
    assert_eq!((verdicts, steps), (1, 1));
    let (lead, _, steps) = told(&current);
    assert!(lead.ends_with(" days ago. None newer is stored.") && steps == 0, "{lead}");
    let (lead, verdicts, steps) = told(&unknown(1));
    assert_eq!(lead, "What this image stands on is not known: no stored image is surely its base.");
    assert_eq!((verdicts, steps), (1, 1));
    assert_eq!(told(&unknown(7)).0, "Of 7 images none stands on a known base.");

    let Some(page) = browser::open("small_and_odd_fleets", &tell(&world, &unknown(1)), (1280, 900)) else {
        return;
    };
    page.wait(READY);
    let high = page.get("document.querySelector('#tree').clientHeight").as_u64().unwrap();
    assert!(high < 250, "a tree of one image is {high} pixels high");
    assert_eq!((column(&page, 1).len(), page.complaints()), (1, vec![]));
}

#[test]
fn ages_are_told_up_to_the_day_of_the_report() {
    let world = World::new();
    let page = fs::read_to_string(tell(&world, &equal_families(1, 4))).unwrap();
    let quarters = page.matches("class=\"axis quarter\"").count();
    assert!(quarters >= 8, "{quarters} quarters");
    let years: Vec<&str> = page.split("class=\"axis year\">").skip(1).map(|rest| &rest[..4]).collect();
    assert_eq!(years.last(), Some(&&fleet::AS_OF[..4]));
    for words in ["older bases", "newer bases", "no newer one is stored", "newer ones are stored"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn paper_has_more_rows_and_says_how_many_there_are() {
    let world = World::new();
    let Some(page) = fleet_of_300("paper_has_more_rows", &world) else { return };
    page.click("#page-on");
    page.run("window.dispatchEvent(new Event('beforeprint'))");
    assert_eq!(page.count("#rows tr"), 200);
    assert_eq!(page.text("#printed"), "The first 200 of 300 images; the page itself has them all.");
    page.print();
    // An A4 page has less than 700 CSS pixels between its margins.
    page.resize((690, 900));
    page.wait("innerWidth === 690");
    assert_eq!(page.get("document.documentElement.scrollWidth"), 690, "paper is cut at its side");
    let cut = "[...document.querySelectorAll('.card .bars th, .card .plain td, #rows th, #rows td, .steps p')] \
        .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)";
    assert_eq!(page.get(cut), json!([]));
    page.run("window.dispatchEvent(new Event('afterprint'))");
    assert_eq!((page.count("#rows tr"), page.text("#found")), (25, "1–25 of 300 images".to_owned()));
}
