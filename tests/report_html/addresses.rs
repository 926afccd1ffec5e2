//! What is looked at has an address: it can be linked, kept, and gone back from.

use super::*;

fn hash(page: &Page) -> String {
    page.get("decodeURIComponent(location.hash)").as_str().unwrap().to_owned()
}

fn back(page: &Page, to: &str) {
    page.run("history.back()");
    page.wait(&format!("decodeURIComponent(location.hash) === {to:?}"));
}

const OPEN: &str = "document.querySelector('#panel').open";

#[test]
fn from_a_bar_to_its_images_to_one_of_them_and_all_the_way_back() {
    let world = World::new();
    let Some(page) = fleet_of_300("from_a_bar_to_its_images", &world) else { return };
    page.click("#families [data-family=node]");
    assert_eq!(
        (hash(&page), page.text("#found")),
        ("#family=node".into(), "1–25 of 27 images found, of 300".into())
    );
    page.click("#page-on");
    assert_eq!(page.text("#found"), "26–27 of 27 images found, of 300");
    page.click("#rows a");
    page.wait(OPEN);
    assert!(hash(&page).starts_with("#image=sha256:"));
    // Closing it, or the browser's way back, shows what was there: the same rows of the same page.
    page.press("Escape");
    page.wait("location.hash === '#family=node'");
    assert_eq!(page.text("#found"), "26–27 of 27 images found, of 300");
    page.click("#rows a");
    page.wait(OPEN);
    back(&page, "#family=node");
    assert_eq!(
        (page.get(OPEN), page.text("#found")),
        (json!(false), "26–27 of 27 images found, of 300".into())
    );
    back(&page, "");
    assert_eq!(page.text("#found"), "1–25 of 300 images");
    page.run("history.forward()");
    page.wait("location.hash === '#family=node'");
    assert_eq!(page.text("#found"), "1–25 of 27 images found, of 300");
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn from_one_image_to_another_is_one_step_out() {
    let world = World::new();
    let Some(page) = fleet_of_300("from_one_image_to_another", &world) else { return };
    page.click("#families [data-family='platform/python']");
    page.click("#rows a");
    page.wait(OPEN);
    let first = page.text("#panel-title");
    page.click("#panel .line a");
    page.wait(&format!("document.querySelector('#panel-title').textContent !== {first:?}"));
    back(&page, &format!("#image={}", image_id(&first)));
    assert_eq!(page.text("#panel-title"), first);
    page.click("#panel .line a");
    page.wait(&format!("document.querySelector('#panel-title').textContent !== {first:?}"));
    page.press("Escape");
    page.wait("location.hash === '#family=platform/python'");
    assert_eq!(page.get(OPEN), false);

    // The base of an image, in the tree and in the table.
    page.click("#rows a");
    page.wait(OPEN);
    page.run("[...document.querySelectorAll('#panel button')].find((b) => b.textContent === 'Show in the tree').click()");
    page.wait(&format!("!{OPEN}"));
    assert!(hash(&page).starts_with("#tree=base:platform/python:"), "{}", hash(&page));
    let here = page.texts("#crumbs li");
    assert!(here.last().unwrap().starts_with("platform/python:"), "{here:?}");
    page.click("#tree-list");
    assert!(hash(&page).starts_with("#under=base:platform/python:"), "{}", hash(&page));
    assert!(page.text("#only").starts_with("Only under platform/python:"), "{}", page.text("#only"));
    assert_eq!(page.complaints(), [""; 0]);
}

fn image_id(name: &str) -> String {
    fleet::rows(300).iter().find(|row| row["source"] == name).unwrap()["image"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_tree_is_gone_back_in_as_it_was_gone_into() {
    let world = World::new();
    let Some(page) = fleet_of_300("the_tree_is_gone_back_in", &world) else { return };
    page.click(".cell.family");
    page.click(".cell.base");
    let crumbs = page.texts("#crumbs li");
    assert_eq!((crumbs.len(), &crumbs[1]), (3, &"debian".to_owned()));
    back(&page, "#tree=family:debian");
    assert_eq!(page.texts("#crumbs li"), ["All images", "debian"]);
    back(&page, "");
    assert_eq!(page.texts("#crumbs li"), ["All images"]);
    // A filter set by hand stays when the tree is looked at.
    choose(&page, "#filter-family", "=node");
    page.click(".cell.family");
    page.click("#tree-out");
    assert_eq!(page.text("#found"), "1–25 of 27 images found, of 300");
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn what_was_asked_by_hand_is_asked_again_by_its_link() {
    let world = World::new();
    let Some(page) = fleet_of_300("what_was_asked_by_hand", &world) else { return };
    page.click("#search");
    page.write("api");
    choose(&page, "#filter-answer", "0");
    page.click("#images th[data-sort=bytes] button");
    page.click("#images th[data-sort=bytes] button");
    page.wait("location.hash.includes('down')");
    let (address, rows) = (page.get("location.href"), column(&page, 1));
    assert_eq!(hash(&page), "#search=api&answer=0&sort=bytes&down=1");
    page.go("about:blank");
    page.go(address.as_str().unwrap());
    page.wait(READY);
    assert_eq!((column(&page, 1), page.get("document.querySelector('#search').value")), (rows, json!("api")));

    // An address that nothing here answers to, or that wants harm, is none.
    for odd in [
        "answer=99&family=none",
        "tree=base:<script>",
        "under=x&on=y",
        "image=sha256:0",
        "%E0%A4%A",
        "sort=__proto__",
    ] {
        page.go("about:blank");
        page.go(&format!("{}#{odd}", browser::address(&world.path("fleet.html"))));
        page.wait(READY);
        assert_eq!((page.get(OPEN), page.complaints()), (json!(false), vec![]), "{odd}");
    }
}
