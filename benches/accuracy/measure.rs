//! Asks about everything that there is to ask about one corpus.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use rayon::prelude::*;

use crate::Options;
use crate::bases::Bases;
use crate::corpus::{Corpus, Families, Image};
use crate::generate;
use crate::judge::Judge;
use crate::report::Report;
use crate::work::Question;

/// Images that an enemy plants.
const PLANTED: usize = 60;

/// Asks all questions about a corpus.
pub fn measure(folder: &Path, cache: &Path, options: &Options, report: &Report) -> Result<()> {
    let started = Instant::now();
    let corpus = Corpus::read(folder, cache)?;
    let (families, all) = (Families::of(&corpus), Bases::of(&corpus, |_| true)?);
    let others = options.transforms.div_ceil(10);
    let run = Run { corpus: &corpus, families: &families, all: &all, options, others, report };
    let tell = |what: &str| eprintln!("{}: {what}, {:.0?}", corpus.name, started.elapsed());
    tell(&format!("{} images read, {} of them stored", corpus.images.len(), all.stored.len()));
    run.corpus_images()?;
    tell("all images of the corpus asked about");
    run.transforms()?;
    tell(&format!("{} made of them asked about", options.transforms));
    run.strangers()?;
    run.held_out()?;
    run.planted()?;
    tell("all others asked about");
    Ok(())
}

struct Run<'a> {
    corpus: &'a Corpus,
    families: &'a Families,
    /// All bases of the corpus, stored.
    all: &'a Bases,
    options: &'a Options,
    /// Images to make of each of the other kinds.
    others: usize,
    report: &'a Report,
}

impl Run<'_> {
    fn corpus_images(&self) -> Result<()> {
        let asked: Vec<&Image> = self.corpus.images.iter().filter(|image| !image.is_base()).collect();
        asked.par_iter().try_for_each(|image| {
            let question = Question::of(self.corpus, self.all, image)?;
            self.report.add(&self.corpus.name, &self.judge(self.all), false, &question)
        })
    }

    fn transforms(&self) -> Result<()> {
        (0..self.options.transforms).into_par_iter().try_for_each(|number| {
            match generate::transformed(self.corpus, self.all, &self.options.seed, number)? {
                Some(question) => self.ask(self.all, &question),
                None => {
                    eprintln!("{}: nothing to make image {number} of", self.corpus.name);
                    Ok(())
                }
            }
        })
    }

    fn strangers(&self) -> Result<()> {
        (0..self.others).into_par_iter().try_for_each(|number| {
            self.ask(self.all, &generate::stranger(self.corpus, self.all, &self.options.seed, number)?)
        })
    }

    fn held_out(&self) -> Result<()> {
        let each = self.others.div_ceil(self.all.stored.len());
        for held in self.corpus.bases() {
            let without = generate::held_out(self.corpus, self.all, held, &self.options.seed, each)?;
            without.questions.par_iter().try_for_each(|question| self.ask(&without.bases, question))?;
        }
        Ok(())
    }

    fn planted(&self) -> Result<()> {
        let seed = &self.options.seed;
        let bases = Bases::with_planted(self.corpus, seed, PLANTED)?;
        (0..self.others).into_par_iter().try_for_each(|number| {
            let question = if number.is_multiple_of(2) {
                generate::transformed(self.corpus, &bases, seed, self.options.transforms + number / 2)?
            } else {
                Some(generate::stranger(self.corpus, self.all, seed, self.others + number)?)
            };
            let Some(mut question) = question else { return Ok(()) };
            let which = if question.truth.right.is_empty() { "no base" } else { "base" };
            question.label = format!("planted images stored: {which}");
            self.ask(&bases, &question)
        })
    }

    fn ask(&self, bases: &Bases, question: &Question) -> Result<()> {
        self.report.add(&self.corpus.name, &self.judge(bases), true, question)
    }

    fn judge<'a>(&'a self, bases: &'a Bases) -> Judge<'a> {
        Judge { bases, families: self.families }
    }
}
