"""Scan: what a user holds of counted masks, and everything that can be made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from maskstat.api.label_scans import demand_alike, of_classes
from maskstat.errors import (
    ExposureError,
    MaskstatError,
    ParameterError,
    ProfileError,
    StoreError,
    WeightError,
    argument,
)
from maskstat.frames import data_frame
from maskstat.naming import printable
from maskstat.parameters import check_word, refuse_idle, several
from maskstat.scanning import stored_scan
from maskstat.scanning.class_options import Classes
from maskstat.scanning.stored_scan import StoredScan
from maskstat.showing import cut, one_line
from maskstat.values.given import AMOUNTS, Amount

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from pandas import DataFrame

    from maskstat.advice.choices import Goal
    from maskstat.advice.recommendation import Recommendation
    from maskstat.api.check import Check
    from maskstat.api.costs import Costs, GivenWeights
    from maskstat.api.splitting import Lists, SearchProgress
    from maskstat.crops.class_index import ClassIndex
    from maskstat.decision.choices import Measure
    from maskstat.decision.decision_report import DecisionReport
    from maskstat.executors.choices import ExecutorName
    from maskstat.exposure.asking import Asked, Crop, Scale
    from maskstat.exposure.counts import ExposureCounts
    from maskstat.exposure.heat_maps import ApproximateExposure
    from maskstat.exposure.recipe import Recipe
    from maskstat.files.mask_tables.mask_table import TableFormat, TableLayout
    from maskstat.render.plots.choices import Order
    from maskstat.render.plots.drawing import Drawing
    from maskstat.render.report.report import Format
    from maskstat.sampling.table import SamplingTable
    from maskstat.scanning.by_volume import ByVolume
    from maskstat.scanning.recording import Progress
    from maskstat.splits.plan import SplitPlan
    from maskstat.splits.wanted_parts import Ratios
    from maskstat.statistics.comparison import Comparison
    from maskstat.store.records import Failure
    from maskstat.values.catalog import ClassCatalog
    from maskstat.values.contributions import Contributions
    from maskstat.values.crop_draws import ClassLaw, CropDraws
    from maskstat.values.groups import GroupRule, MaskGroups
    from maskstat.values.histogram import ClassHistogram
    from maskstat.values.ledger import MaskLedger
    from maskstat.weights.any_scheme import CostMatrix
    from maskstat.weights.batches import Batching
    from maskstat.weights.choices import Absent, Average, Normalisation, Unlisted
    from maskstat.weights.table import WeightTable

    FloatArray = npt.NDArray[np.float64]


class Scan(StoredScan):
    """A finished or stored scan, read under one catalogue, and what can be made of it."""

    @classmethod
    def of(cls, stored: StoredScan) -> Scan:
        """The same scan, from the room that reads and writes stores."""
        scan = cls(stored._store, stored.info, stored._given, stored.changes, stored._grid)
        scan._rule = stored._rule
        return scan

    def weights(
        self,
        scheme: str = "equal-cost",
        *,
        parameters: Mapping[str, object] | None = None,
        measure: Amount = "pixels",
        normalize: Normalisation = "none",
        clip: tuple[float, float] | None = None,
        absent: Absent | None = None,
        unlisted: Unlisted = "refuse",
        average: Average | None = None,
        batch_size: int | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        cost_matrix: CostMatrix | None = None,
        best_effort: bool = False,
        max_ratio: float | None = None,
        allow_incomplete: bool = False,
    ) -> WeightTable:
        """Class weights from these counts; of multi-label masks the pos_weight of each label.

        Args:
            scheme: one of `maskstat.schemes()`.
            parameters: the scheme's own, by name.
            measure: "volume" where a class has what its voxels measure, as after resampling to one
                spacing; "pixels" where every pixel counts once.
            normalize: what the K weights are divided by: "none", "mean", "sum", "max", "min", or
                "pixel" (the average labelled pixel weighs 1).
            clip: lowest and highest weight, applied last; what `absent` sets to zero stays zero.
            absent: the weight of classes that never occur, before normalisation: "zero", "one",
                "max" (the largest of the others) or "error". None means "one" where only the
                number of classes was declared or they were inferred, "error" where they were
                named.
            unlisted: "ignore" computes weights although some pixels belong to no class.
            average: of equal cost: "pixel", the default, for losses that are a plain mean or sum
                (Keras); "batch" for a mean that every batch divides by its own sum of weights
                (PyTorch's `CrossEntropyLoss(weight=w)`); see docs/equal-cost.md.
            batch_size: masks that one process averages over; "batch" needs it. Gradient
                accumulation does not change it. Under a recipe the recipe's by default.
            drop_last: whether masks that fill no batch at the end of an epoch are left out; by
                default they are a last batch, as with PyTorch's loader.
            seed: of the random batches, 0 by default.
            cost_matrix: of equal cost, [K, K] or its file: what a pixel of class c (column) costs
                the answer i (row).
            best_effort: for "batch", where exact equal cost is impossible or too extreme: the
                most equal costs with a largest weight ratio of `max_ratio`.
            max_ratio: 1000 by default.
            allow_incomplete: weights of what was counted of a scan that was interrupted; their
                provenance says so.

        Returns:
            K weights, finite and >= 0. `solution` says how those for "batch" were found. Of labels
            they are `pos_weight` of binary cross entropy with a plain mean, w1 / w0 of the scheme's
            weights of pixels with and without the label (n0 / n1 for equal cost).

        Raises:
            UnlistedValuesError: pixels have values that are neither classes nor ignored.
            IncompleteScanError: the scan was interrupted, or is still going on.
            AbsentClassError: a named class never occurs and no policy was chosen.
            InfeasibleEqualCost: no weights give equal cost at this batch size.
            WeightError: nothing is labelled, the formula overflows, the iteration did not
                converge, or components are counted and there are none to be had.
            ProfileError: components are counted and were not measured.
            UnknownCountsError: volumes are asked for, and a mask has no spacing.
            ParameterError: a word or parameter that means nothing, or not beside the others.
            MultilabelError: masks lack the channel of a label, or volumes of labels are asked for.
        """
        from maskstat.api.unlisted import values_explained
        from maskstat.weights.any_scheme import weigh
        from maskstat.weights.label_weights import weigh_labels

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        counts = self._measured(measure)
        if counts is not self and average == "batch":
            refuse_idle({"measure": measure}, goes_with=argument("average", "pixel"))
        if self.is_multilabel:
            idle = {
                "average": None if average == "pixel" else average,
                "batch_size": batch_size,
                "drop_last": drop_last,
                "seed": seed,
                "cost_matrix": cost_matrix,
                "best_effort": best_effort,
                "max_ratio": max_ratio,
            }
            refuse_idle(idle, goes_with="classes, not with the pos_weight of labels")
            self._need_channels()
            table = weigh_labels(
                self.histogram,
                lambda: self.ledger,
                scheme,
                parameters=parameters,
                normalize=normalize,
                clip=clip,
                absent=absent,
                unlisted=unlisted,
                source=self.source,
            )
            return self._signed(table)
        rows, batching = lambda: self._batch_rows, self._batching
        sample = self._sample if counts is self else lambda: counts._contributing
        with values_explained(self):
            if average == "batch" and (some := self._mask_sample) is not None:
                rows, batching = lambda: some.ledger, some.batching
                sample = partial(self._contributing_sample, some)
            table = weigh(
                counts.histogram,
                rows,
                scheme,
                parameters=parameters,
                average=average,
                batch_size=self._batch_size(average, batch_size),
                drop_last=drop_last,
                batching=batching,
                seed=seed,
                cost_matrix=cost_matrix,
                best_effort=best_effort,
                max_ratio=max_ratio,
                normalize=normalize,
                clip=clip,
                absent=absent,
                unlisted=unlisted,
                source=self.source,
                components=lambda: self.need_profile(of_all=True).components,
                sample=sample,
            )
        return self._signed(table)

    @of_classes
    def all_weights(
        self,
        *,
        measure: Amount = "pixels",
        normalize: Normalisation = "none",
        clip: tuple[float, float] | None = None,
        absent: Absent | None = None,
        unlisted: Unlisted = "refuse",
        allow_incomplete: bool = False,
    ) -> dict[str, WeightTable | WeightError]:
        """The weights of every scheme with its default parameters.

        Args:
            measure, normalize, clip, absent, unlisted, allow_incomplete: as in `weights`.

        Returns:
            By scheme its weights, or why it has none here.

        Raises:
            UnknownCountsError: volumes are asked for, and a mask has no spacing.
            UnlistedValuesError: pixels have values that are neither classes nor ignored.
            IncompleteScanError: the scan was interrupted, or is still going on.
            WeightError: no scheme has weights here.
            ParameterError: a word that means nothing.
        """
        from maskstat.api.unlisted import values_explained
        from maskstat.weights.any_scheme import weigh_all

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        with values_explained(self):
            tables = weigh_all(
                self._measured(measure).histogram,
                normalize=normalize,
                clip=clip,
                absent=absent,
                unlisted=unlisted,
                source=self.source,
                components=lambda: self.need_profile(of_all=True).components,
            )
        return {
            name: table if isinstance(table, WeightError) else self._signed(table)
            for name, table in tables.items()
        }

    @of_classes
    def by_volume(self) -> ByVolume:
        """The same masks with shares of volume, not of pixels: where voxels differ in size.

        Its `histogram` has the frequencies, `intervals` how sure they are, and `volumes` what each
        class measures in mm³.

        Raises:
            UnknownCountsError: a mask has no spacing, or counts were given.
            MultilabelError: its masks are multi-label.
        """
        from maskstat.scanning.by_volume import ByVolume

        return ByVolume.of(self)

    def _measured(self, measure: Amount) -> StoredScan:
        """What shares are taken of: itself, or its volumes."""
        check_word(measure, AMOUNTS, parameter="measure")
        if measure != "pixels" and self._crops is not None:
            refuse_idle({"measure": measure}, goes_with="masks as they are, not with crops of them")
        return self if measure == "pixels" else self.by_volume()

    def _signed(self, table: WeightTable) -> WeightTable:
        """The weights with the name of the scan that they were made from."""
        return replace(table, provenance={**table.provenance, **self._identity})

    @property
    def _sample(self) -> Callable[[], tuple[Contributions, MaskGroups]] | None:
        """What weights have intervals from; None where nothing tells how they vary."""
        return lambda: self._contributing

    def _batch_size(self, average: Average | None, given: int | None) -> int | None:
        """The one that is given, where nothing else says one."""
        return given

    @property
    def _identity(self) -> dict[str, object]:
        """What files say of the scan that they are of."""
        return {"scan": self.name} | ({} if self.info.complete else {"complete": False})

    @of_classes
    def costs(
        self,
        weights: GivenWeights | None = None,
        *,
        scheme: str | None = None,
        average: Average | None = None,
        batch_size: int | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        predictor_confidence: float | None = None,
        allow_incomplete: bool = False,
    ) -> Costs:
        """What it costs to answer every pixel with the same class, in nats a labelled pixel.

        Args:
            weights: a table, K numbers, or a file that `WeightTable.save` wrote; they are scaled
                so that the average labelled pixel weighs 1.
            scheme: weights of this scheme instead; without both, equal cost.
            average: "pixel", the default, or "batch", as in `weights`.
            batch_size, drop_last: as in `weights`.
            seed: of the random batches, 0 by default.
            predictor_confidence: probability that a constant prediction gives its class; by
                default 1 - 1e-7, where Keras clips.
            allow_incomplete: as in `weights`.

        Raises:
            IncompleteScanError: the scan was interrupted, or is still going on.
            WeightError: weights that do not fit, or there are none.
            FileFormatError: a file that holds no weights.
            ParameterError: a word or number that means nothing, or not beside the others.
        """
        from maskstat.api.costs import price

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        return price(
            self.histogram,
            lambda: self._batch_rows,
            weights,
            scheme=scheme,
            average=average,
            batch_size=self._batch_size(average, batch_size),
            drop_last=drop_last,
            batching=self._batching,
            seed=seed,
            predictor_confidence=predictor_confidence,
            source=self.source,
            scan=self.name,
        )

    @of_classes
    def recommend(
        self,
        measure: Goal = "iou",
        *,
        batch_size: int | None = None,
        against: Scan | str | None = None,
        unlisted: Unlisted = "refuse",
        allow_incomplete: bool = False,
    ) -> Recommendation:
        """What to do about the imbalance: weights or none, what else, and what to check.

        Rules say it, each with its reason and its evidence; see docs/recommending.md. Of what
        training sees ask the exposure: `scan.exposure(crop=512).recommend()`.

        Args:
            measure: what counts after training: "iou", the mean IoU; "recall", the balanced
                accuracy; "accuracy", that of pixels, or probabilities that can be trusted.
            batch_size: masks or crops in a batch of one process; a recipe's, or else 8.
            against: the masks to validate on, a scan or its name in this store.
            unlisted, allow_incomplete: as in `weights`.

        Raises:
            UnlistedValuesError: pixels have values that are neither classes nor ignored.
            IncompleteScanError: the scan was interrupted, or is still going on.
            WeightError: nothing is labelled.
            CatalogError: `against` is read under other classes.
            StoreError: the store holds no scan of the name in `against`.
            ParameterError: a word or number that means nothing, or `against` is this scan itself.
        """
        from maskstat.api.recommending import recommend

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()

        def weigh(scheme: str) -> WeightTable:
            return self.weights(
                scheme,
                normalize="pixel",
                absent="one",
                unlisted=unlisted,
                allow_incomplete=allow_incomplete,
            )

        with ExitStack() as stack:
            other = None if against is None else stack.enter_context(self._read_alike(against))
            return recommend(
                self,
                measure,
                batch_size=batch_size,
                against=other,
                unlisted=unlisted,
                weigh=weigh,
            )

    @of_classes
    def sampling(
        self,
        method: str = "repeat-factor",
        *,
        parameters: Mapping[str, object] | None = None,
        allow_incomplete: bool = False,
    ) -> SamplingTable:
        """How often to draw each mask.

        Args:
            method: one of `maskstat.sampling_methods()`.
            parameters: the method's own, by name.
            allow_incomplete: as in `weights`.

        Raises:
            IncompleteScanError: the scan was interrupted, or is still going on.
            WeightError: nothing is labelled, or no solution was found.
            ParameterError: an unknown method or parameter.
        """
        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        return self._sampled(self.ledger, method, parameters)

    def _sampled(
        self, masks: MaskLedger, method: str, parameters: Mapping[str, object] | None
    ) -> SamplingTable:
        from maskstat.sampling.compute import sample

        return sample(
            masks,
            self.catalog.names,
            method,
            parameters=parameters,
            provenance={
                "source": self.source,
                **self._identity,
                "catalog": self.catalog.name,
                "counts_digest": self.histogram.counts_digest(),
                "unlisted_pixels": self.histogram.unlisted_pixels,
            },
        )

    @of_classes
    def exposure(
        self,
        recipe: Asked | None = None,
        *,
        crop: Crop | None = None,
        scale: Scale | None = None,
        cat_max_ratio: float | None = None,
        draw: CropDraws | ClassLaw | npt.ArrayLike | Path | None = None,
        chance: float | None = None,
        batch_size: int | None = None,
        drop_last: bool = False,
        sampler: SamplingTable | str | Path | None = None,
        crops: int | None = None,
        presence: bool = False,
        stored: bool = False,
        unlisted: Unlisted = "refuse",
        allow_incomplete: bool = False,
        executor: ExecutorName = "threads",
        scheduler: str | None = None,
        workers: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Exposure:
        """This scan as training sees it: crops of rescaled masks, drawn by a sampler, in batches.

        Masks that were not worked out under the recipe are decoded once more, and the result is
        kept in the store. See docs/exposure.md.

        Args:
            recipe: a `Recipe`, a mapping of its attributes, a YAML file with them, or the name of
                one that ships. What follows changes it, or is all that is done.
            crop: random crops of this size: 512, (height, width), or "512x1024" (height x width).
            scale: what masks are rescaled by before: "0.5:2" or (0.5, 2) is uniform between two
                ratios, "0.5:2:log" log-uniform, "0.5,1,2" one of some; or a `Rescaling`.
            cat_max_ratio: crops in which one class has this share are drawn anew, as by
                mmsegmentation's RandomCrop.
            draw: crops are drawn by class, so that rare ones are met, as `CropSampler` draws them:
                "rare" (DAFormer's law), "uniform", K numbers that the chances of the classes are
                in proportion to, a file of weights for them, or a `CropDraws`.
            chance: share of these crops that are left to chance, 0 by default.
            batch_size: crops in a batch of one process.
            drop_last: a last batch that is not full is dropped. PyTorch's and Keras' loaders keep
                it by default.
            sampler: how often masks are drawn, as `sampling` says or a file of it; without, all
                alike.
            crops: of each mask that are sampled, for batches; more of them make weights surer. By
                default those that are kept, and 24 where there are none. Of crops that are drawn by
                class, of each class of a mask, and 8.
            presence: the exact chance of each class to be in a crop; without, that of the crops.
            stored: decode nothing: what is not worked out is an error.
            unlisted: "ignore" takes pixels that belong to no class for ignored ones.
            allow_incomplete: of a scan that was interrupted, what was counted; and without masks
                that could not be cropped: the result's `left_out`.
            executor, scheduler, workers, on_progress: as in `maskstat.scan`.

        Raises:
            ExposureError: `stored`, and masks lack; or masks changed since they were scanned.
            UnlistedValuesError: pixels have values that are neither classes nor ignored.
            IncompleteScanError: the scan was interrupted, or is still going on, or masks could not
                be cropped: those whose files are too large to be read whole, say.
            SourceError: masks are to be decoded and the source is gone.
            FileFormatError: a file that holds no recipe, or no sampling weights.
            ParameterError: no recipe, or one that means nothing.
        """
        from maskstat.api.exposing import exposed
        from maskstat.executors.opening import ExecutorChoice

        asked = {
            "recipe": recipe,
            "crop": crop,
            "scale": scale,
            "cat_max_ratio": cat_max_ratio,
            "draw": draw,
            "chance": chance,
            "batch_size": batch_size,
            "drop_last": drop_last,
        }
        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        counts = exposed(
            self,
            asked,
            sampler=sampler,
            crops=crops,
            presence=presence,
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
            make=None if stored else ExecutorChoice(executor, scheduler, workers),
            on_progress=on_progress,
        )
        return Exposure(self, counts)

    @of_classes
    def approximate_exposure(
        self,
        recipe: Asked | None = None,
        *,
        crop: Crop | None = None,
        scale: Scale | None = None,
        cat_max_ratio: float | None = None,
        unlisted: Unlisted = "refuse",
        allow_incomplete: bool = False,
    ) -> ApproximateExposure:
        """About what shares training sees, from a pixel profile's heat maps: nothing is decoded.

        For masks of one size, and crops that are not refused. The result says between which
        bounds the exact shares are, those of `exposure`. For CamVid and crops of 128 x 128 it is
        off by 0.03% of a share at most, and the bounds are up to 5% away; with scales, far away.

        Args:
            recipe, crop, scale, cat_max_ratio, unlisted, allow_incomplete: as in `exposure`.

        Raises:
            ProfileError: there is no profile, or not of all masks.
            ExposureError: masks have several sizes.
            ParameterError: no recipe, one that means nothing, or one that refuses crops.
            UnlistedValuesError, IncompleteScanError, FileFormatError: as `exposure`.
        """
        from maskstat.api.exposing import approximated

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        asked = {"recipe": recipe, "crop": crop, "scale": scale, "cat_max_ratio": cat_max_ratio}
        return approximated(self, asked, unlisted=unlisted)

    @of_classes
    def class_index(
        self,
        *,
        stored: bool = False,
        unlisted: Unlisted = "refuse",
        allow_incomplete: bool = False,
        executor: ExecutorName = "threads",
        scheduler: str | None = None,
        workers: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ClassIndex:
        """Where each class is in every mask: to draw its pixels, or crops, without opening one.

        Masks that were not indexed under these classes are decoded once more, and the result is
        kept in the store. See docs/crops.md.

        Args:
            stored: decode nothing: what is not indexed is an error.
            unlisted: "ignore" leaves pixels that belong to no class out, as ignored ones are.
            allow_incomplete: of a scan that was interrupted, what was counted; and without masks
                that could not be indexed.
            executor, scheduler, workers, on_progress: as in `maskstat.scan`.

        Raises:
            ExposureError: `stored`, and masks lack; or masks changed since they were scanned.
            UnlistedValuesError: pixels have values that are neither classes nor ignored.
            IncompleteScanError: the scan was interrupted, or is still going on, or masks could not
                be indexed: those whose files are too large to be read whole, say.
            SourceError: masks are to be decoded and the source is gone.
        """
        from maskstat.api.indexing import indexed
        from maskstat.executors.opening import ExecutorChoice

        if not allow_incomplete:
            self._need_complete()
        self._need_classes()
        return indexed(
            self,
            unlisted=unlisted,
            allow_incomplete=allow_incomplete,
            make=None if stored else ExecutorChoice(executor, scheduler, workers),
            on_progress=on_progress,
        )

    def check(
        self,
        *,
        against: Scan | str | Iterable[Scan | str] = (),
        images: str | Path | None = None,
        image_suffix: str = "",
        mask_suffix: str = "",
        min_masks: int = 10,
        min_components: int | None = None,
    ) -> Check:
        """What is wrong with this set of masks, errors first.

        Decodes only masks whose counts are equal, and of images just the header.

        Args:
            against: scans of other splits, or their names in this store: no mask should be in
                both.
            images: folder of the images, searched recursively and paired by stem; None leaves
                images out.
            image_suffix, mask_suffix: what stems of images and masks end in besides what they
                share ("_leftImg8bit", "_gtFine_labelIds").
            min_masks: classes in fewer masks are reported.
            min_components: classes in fewer connected components are reported, which needs a
                pixel profile; None is 10 where there is one.

        Raises:
            ParameterError: a least number is negative, suffixes without images, or `against`
                names this scan or one twice.
            ProfileError: `min_components` is given and the scan has no profile.
            SourceError: `images` holds no image.
            StoreError: the store holds no scan of a name in `against`.
        """
        from maskstat.api.check import Check
        from maskstat.scanning.checking import check_scan

        with ExitStack() as stack:
            others = [stack.enter_context(self._other(other)) for other in (several(against))]
            findings = check_scan(
                self,
                against=others,
                images=images,
                image_suffix=image_suffix,
                mask_suffix=mask_suffix,
                min_masks=min_masks,
                min_components=min_components,
            )
        return Check(
            self.name,
            self.source,
            len(self.ledger),
            len(self.failures),
            tuple(other.name for other in others),
            images is not None,
            findings,
        )

    @of_classes
    def compare(
        self,
        *others: Scan | str,
        classes: Classes | None = None,
        ignore: int | str | Iterable[int | str] = (),
        group_by: str | GroupRule | None = None,
    ) -> Comparison:
        """How different splits are: class frequencies, presence, sizes, masks in both.

        All of it against random splits of the same masks, or of the groups that they are in.

        Args:
            others: scans, or their names in this store; this one comes first, the training set by
                custom.
            classes, ignore: read all of them under these.
            group_by: of all of them, in place of the groups that each has: as in `maskstat.scan`.

        Raises:
            CatalogError: they are read under different classes.
            ParameterError: there are no two different scans.
            StoreError: the store holds no scan of a name.
        """
        from maskstat.scanning.comparing import compare_scans

        with ExitStack() as stack:
            scans = [self, *(stack.enter_context(self._other(other)) for other in others)]
            if classes is not None or ignore != ():
                scans = [scan.under(classes, ignore) for scan in scans]
            if group_by is not None:
                scans = [scan.grouped(group_by) for scan in scans]
            return compare_scans(scans)

    @of_classes
    def split(
        self,
        *others: Scan | str,
        ratios: Ratios | None = None,
        folds: int | None = None,
        fixed: Lists | None = None,
        tolerance: float | None = None,
        seed: int = 0,
        allow_incomplete: bool = False,
        on_search: SearchProgress | None = None,
    ) -> SplitPlan:
        """Cut the masks into parts that all have their share of every class, with a certificate.

        Even are pixels, masks that have the class, and masks in which it is small, medium or large.
        A group (`grouped`) is in one part. A class is in every part where that can be.

        Args:
            others: more scans, or their names in this store, that are split together with this one.
            ratios: two numbers for train and val or three for train, val and test, or a number by
                name; also as text: "0.8,0.1,0.1", "train=0.8,dev=0.2".
            folds: instead, so many parts of one size: "0", "1", ...
            fixed: what is decided: names of masks by part, or text files called like their part,
                such as train.txt, with a name a line. The rest is split around it.
            tolerance: the share of its target by which a part's size may miss it: by default 0,
                and 0.1 with groups. What can't be kept is in `SplitPlan.excess`.
            seed: another one gives another split, about as good.
            allow_incomplete: as in `weights`.
            on_search: hears how many searches are done, and of how many.

        Raises:
            IncompleteScanError: a scan was interrupted, or is still going on.
            CatalogError: the scans are read under different classes.
            WeightError: nothing is labelled.
            ParameterError: ratios that are none, fewer groups than parts, lists that name no masks.
        """
        from maskstat.api.splitting import split_scans

        with self._joined(others, allow_incomplete=allow_incomplete) as scans:
            return split_scans(
                scans,
                ratios=ratios,
                folds=folds,
                fixed=fixed,
                tolerance=tolerance,
                seed=seed,
                on_search=on_search,
            )

    @of_classes
    def certify(
        self, parts: Lists, *others: Scan | str, allow_incomplete: bool = False
    ) -> SplitPlan:
        """The certificate of a split that there is; masks in none of its parts are left out.

        Args:
            parts: names of masks by part, or text files called like their part, with a name a line.
            others: more scans, or their names in this store, that the masks are in.
            allow_incomplete: as in `weights`.

        Raises:
            IncompleteScanError: a scan was interrupted, or is still going on.
            CatalogError: the scans are read under different classes.
            WeightError: nothing is labelled.
            ParameterError: lists that name no masks, or one mask twice.
        """
        from maskstat.api.splitting import certify_scans

        with self._joined(others, allow_incomplete=allow_incomplete) as scans:
            return certify_scans(scans, parts)

    @of_classes
    def decide(
        self,
        predictions: str | Path,
        *,
        measure: Measure = "iou",
        train: Scan | str | None = None,
        weights: WeightTable | str | Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> DecisionReport:
        """Whether another decision than argmax helps a network on these masks, and on others.

        Shifts of the logits are chosen on some groups (`grouped`) and judged on the rest.

        Args:
            predictions: a folder with float[K, H, W] or [H, W, K], logits or probabilities, as .npy
                or .npz, each called like its mask; masks without are left out.
            measure: what counts: "iou" of the data set, "image-iou", or "recall", the balanced
                accuracy.
            train: the scan that the network was trained on, or its name in this store: its class
                frequencies are the prior. Without, those of the weights, or of these masks.
            weights: those the network was trained with, or their file.
            on_progress: hears of every mask, of each of two passes.

        Raises:
            ParameterError: groups that nobody named, other classes, scores of another size.
            SourceError: no predictions, or masks that are gone or have changed.
            FileFormatError: predictions that can't be read.
        """
        from maskstat.api.deciding import decide

        self._need_classes()
        with ExitStack() as stack:
            trained = None if train is None else stack.enter_context(self._read_alike(train))
            return decide(
                self,
                predictions,
                measure=measure,
                train=trained,
                weights=weights,
                on_progress=on_progress,
            )

    @contextmanager
    def _joined(
        self, others: Iterable[Scan | str], *, allow_incomplete: bool
    ) -> Iterator[list[StoredScan]]:
        """This scan and others, read under its classes where they are named."""
        with ExitStack() as stack:
            scans: list[StoredScan] = [self]
            for other in others:
                scans.append(stack.enter_context(self._read_alike(other)))
            for scan in scans:
                if not allow_incomplete:
                    scan._need_complete()
                scan._need_classes()
            yield scans

    @of_classes
    def plot(
        self,
        kind: str,
        path: str | Path | None = None,
        *,
        others: Scan | str | Iterable[Scan | str] = (),
        log: bool | None = None,
        order: Order | None = None,
        schemes: str | Iterable[str] | None = None,
        dpi: int = 200,
    ) -> Drawing:
        """Draw a figure that is ready for a paper.

        Args:
            kind: "classes", "rank", "lorenz", "weights", "costs", "cooccurrence", "heatmaps",
                "components", "adjacency" or "compare".
            path: the file, .png, .svg or .pdf; None writes none.
            others: for "compare", the scans to compare with, or their names in this store.
            log: for "classes", a logarithmic axis of frequencies; by default where the most
                frequent class has 100 times the pixels of the rarest.
            order: of the classes, "frequency", the default, or "catalog".
            schemes: for "weights" and "costs"; several, or one.
            dpi: pixels an inch, for .png: 36 to 600.

        Returns:
            The figure, and in words what it shows.

        Raises:
            ParameterError: an unknown kind, an option that it does not have, or a wrong suffix.
            WeightError: the kind needs labelled pixels and there are none.
            ProfileError: the kind needs a pixel profile and there is none.
            FileFormatError: the file can't be written.
        """
        from maskstat.render.plots.plot import check_path, draw, save

        options: dict[str, object] = {}
        if log is not None:
            options["log"] = log
        if order is not None:
            options["order"] = order
        if schemes is not None:
            options["schemes"] = several(schemes)
        if path is not None:
            check_path(Path(path))
        with ExitStack() as stack:
            views = [
                self,
                *(stack.enter_context(self._other(other)) for other in (several(others))),
            ]
            names = [view.name for view in views]
            for at, name in enumerate(names):
                if name in names[:at]:
                    raise ParameterError(
                        f"{printable(repr(name))} is named twice", parameter="others"
                    )
            drawing = draw(kind, views, **options)
        if path is not None:
            save(drawing, path, dpi=dpi)
        return drawing

    @of_classes
    def report(
        self,
        path: str | Path | None = None,
        *,
        format: Format | None = None,
        examples: int | None = None,
        against: Scan | str | None = None,
    ) -> str:
        """A report in one file that needs nothing else.

        A verdict, what is recommended for the mean IoU, what to do, weights to paste, all about
        every class, what weights cost, the masks themselves, which classes meet, and where the
        numbers come from.

        Args:
            path: the file; its suffix decides the format. None writes none.
            format: "html", "md" or "json"; by default the suffix's, or "html".
            examples: masks of each class to picture at least in HTML, 0 to 20; their files are read
                again. None is 8 where the files are on this machine and at most 20,000; with 0 no
                file is opened, so that none is compared with others either.
            against: another split, or its name in this store, to compare with.

        Returns:
            The report's text.

        Raises:
            ParameterError: a format that there is not, or that is not the suffix's.
            SourceError: examples are asked for and the source is gone.
            ParameterError: `against` is this scan itself.
            CatalogError: the splits are read under different classes.
            StoreError: the store holds no scan of the name in `against`.
            FileFormatError: the file can't be written.
        """
        from maskstat.files.writing import write_atomically
        from maskstat.render.report.report import format_of, report_text

        path = None if path is None else Path(path)
        form = format_of(path, format)
        with ExitStack() as stack:
            other = None if against is None else stack.enter_context(self._split(against))
            text = report_text(
                self, form, examples=examples, against=other, advised=self._advised(other)
            )
        if path is not None:
            write_atomically(path, text.encode("utf-8", "backslashreplace"))
        return text

    def _advised(self, against: StoredScan | None) -> Recommendation | str:
        """What a report recommends: `recommend` for the mean IoU; or why it can't."""
        from maskstat.api.recommending import recommend
        from maskstat.render.documents.weighing import ABSENT, NORMALISATION
        from maskstat.weights.compute import compute

        def weigh(scheme: str) -> WeightTable:  # without intervals, which no report shows
            return compute(self.histogram, scheme, normalize=NORMALISATION, absent=ABSENT)

        try:
            self._need_complete()
            self._need_classes()
            return recommend(
                self, "iou", batch_size=None, against=against, unlisted="refuse", weigh=weigh
            )
        except MaskstatError as error:
            return str(error)

    def export(
        self,
        path: str | Path | BinaryIO,
        *,
        layout: TableLayout = "wide",
        format: TableFormat | None = None,
    ) -> None:
        """Write the table of masks and classes, for DuckDB, pandas, Polars and spreadsheets.

        Args:
            path: a .parquet or .csv file, or a binary file that is open: CSV is written to it. Of
                "daformer" a folder.
            layout: "wide": columns mask, height, width, pixels, ignored, unlisted and one a class
                (px); where files have a spacing also voxel_mm3, before pixels. "long": mask,
                class_index, class, pixels, where a mask has pixels of a class.
            format: "parquet" or "csv", by default the suffix's; or "daformer", the two files that
                rare class sampling reads, `sample_class_stats.json` and `samples_with_class.json`.

        Raises:
            ParameterError: an unknown format or layout, too many classes for a wide table, or
                `path` is the store itself.
            MissingExtraError: Parquet needs pyarrow.
            FileFormatError: the file can't be written.
        """
        from maskstat.files.mask_tables.mask_table import stream_table, write_table

        voxels = self.histogram.voxels.masks > 0
        if not isinstance(path, (str, Path)):
            stream_table(
                self.tables(), self.catalog, path, layout=layout, format=format, voxels=voxels
            )
            return
        path = Path(path)
        if path.exists() and self._store.path.exists() and path.samefile(self._store.path):
            raise ParameterError(f"{printable(str(path))} is the store itself", parameter="path")
        about = {"scan": self.name, "source": self.source}
        write_table(
            self.tables(),
            self.catalog,
            path,
            layout=layout,
            format=format,
            metadata=about,
            voxels=voxels,
        )

    @contextmanager
    def _split(self, scan: Scan | str) -> Iterator[StoredScan]:
        """Another split, for a report. Raises ParameterError where it is this scan."""
        with self._read_alike(scan) as other:
            if other.name == self.name:
                raise ParameterError(
                    f"{printable(other.name)!r} is the scan that the report is about",
                    parameter="against",
                )
            yield other

    @contextmanager
    def _read_alike(self, scan: Scan | str) -> Iterator[StoredScan]:
        """Another scan, read under the classes of this one where it is named."""
        with self._other(scan) as other:
            same = isinstance(scan, StoredScan) or other.catalog.digest == self.catalog.digest
            yield other if same else other.under(self.catalog)

    @contextmanager
    def _other(self, scan: Scan | str) -> Iterator[StoredScan]:
        """Another scan: as it is, or by its name in this store, which is closed afterwards.

        One that is named is grouped as this view is.
        """
        if isinstance(scan, StoredScan):
            demand_alike(self, scan)
            yield scan
            return
        if not self._store.path.exists():
            raise StoreError(
                f"is in memory, and there is no store to find {printable(repr(scan))} in",
                where=printable(self.name),
                remedy="give the scan itself",
            )
        with stored_scan.open_scan(self._store.path, scan) as opened:
            demand_alike(self, opened)
            yield opened if self._rule is None else opened.grouped(self._rule)


class Exposure(Scan):
    """A scan under a recipe: what a loss sees, how often each class is "exposed". It is a `Scan`.

    `histogram` is an epoch as it is expected: pixels in crops, crops that contain a class, pixels
    of those crops. `ledger` has a row for each sampled crop. So weights, costs, plots and the
    report are of crops.

    Attributes:
        folder: the scan itself, which owns the store.
        counts: what the recipe makes of its masks.
    """

    def __init__(self, folder: Scan, counts: ExposureCounts):
        super().__init__(folder._store, folder.info, folder._given, folder.changes, folder._grid)
        self._rule = folder._rule
        self.folder, self.counts = folder, counts

    def __repr__(self) -> str:
        return one_line(self, cut(self.name), self.does)

    def sampling(
        self,
        method: str = "repeat-factor",
        *,
        parameters: Mapping[str, object] | None = None,
        allow_incomplete: bool = False,
    ) -> SamplingTable:
        """How often to draw each mask, by what is expected in its crops; as of a scan.

        Raises:
            WeightError: nothing is labelled, or no solution was found.
            ParameterError: an unknown method or parameter.
            ExposureError: the recipe draws masks itself, by their classes.
        """
        if self.recipe.draws is not None:
            self._refuse("sampling")
        return self._sampled(self.counts.masks, method, parameters)

    def exposure(self, *args: Any, **named: Any) -> Exposure:
        """The folder under another recipe: `Scan.exposure` of `folder`."""
        return self.folder.exposure(*args, **named)

    def check(self, *args: object, **named: object) -> NoReturn:
        """Files are the folder's. Raises ExposureError."""
        self._refuse("check")

    def _split(self, *args: object, **named: object) -> NoReturn:
        """The same. Raises ExposureError."""
        self._refuse("compare")

    def compare(self, *args: object, **named: object) -> NoReturn:
        """Splits of files are compared. Raises ExposureError."""
        self._refuse("compare")

    def split(self, *args: object, **named: object) -> NoReturn:
        """Masks are split, and crops go with them. Raises ExposureError."""
        self._refuse("split")

    def certify(self, *args: object, **named: object) -> NoReturn:
        """The same. Raises ExposureError."""
        self._refuse("certify")

    def decide(self, *args: object, **named: object) -> NoReturn:
        """Predictions are of masks. Raises ExposureError."""
        self._refuse("decide")

    def class_index(self, *args: object, **named: object) -> NoReturn:
        """Masks are the folder's. Raises ExposureError."""
        self._refuse("class_index")

    def export(self, *args: object, **named: object) -> NoReturn:
        """The same. Raises ExposureError."""
        self._refuse("export")

    def by_volume(self) -> NoReturn:
        """Crops are of pixels, whatever these measure. Raises ExposureError."""
        self._refuse("by_volume")

    def under(self, *args: object, **named: object) -> NoReturn:
        """Other classes are other counts: read the folder under them. Raises ExposureError."""
        self._refuse("under")

    def need_profile(self, *, of_all: bool = False) -> NoReturn:
        """There is none. Raises ProfileError."""
        raise ProfileError(
            "where classes are in crops, and their components, is not measured",
            where=printable(self.name),
            remedy="leave the recipe out to see those of the masks",
        )

    @property
    def profile(self) -> None:
        """None: components and outlines of crops are not measured."""
        return None

    @property
    def profile_state(self) -> None:
        """None: nothing was measured."""
        return None

    @property
    def _files(self) -> StoredScan:
        return self.folder

    @property
    def _crops(self) -> ExposureCounts:
        return self.counts

    def _refuse(self, method: str) -> NoReturn:
        raise ExposureError(
            f"{method} is of masks as they are, and these are crops of them",
            where=printable(self.name),
            remedy=f"use the scan itself: folder.{method}",
        )

    def close(self) -> None:
        """Nothing: the store is the scan's to close."""

    @property
    def recipe(self) -> Recipe:
        """What lies between the masks and the loss."""
        return self.counts.recipe

    @cached_property
    def left_out(self) -> tuple[Failure, ...]:
        """Masks that count, and of which there are no crops, with the reason, in natural order."""
        from maskstat.scanning.exposing import left_out

        return left_out(self.folder, self.recipe)

    @property
    def catalog(self) -> ClassCatalog:
        """The classes of the scan."""
        return self.folder.catalog

    @property
    def histogram(self) -> ClassHistogram:
        """An epoch, as it is expected."""
        return self.counts.histogram

    @property
    def ledger(self) -> MaskLedger:
        """Sampled crops, a row each."""
        return self.counts.ledger

    @property
    def _group_names(self) -> tuple[str, ...]:
        """Crops of masks of a group belong together: groups are those of the scan."""
        return self.folder.ledger.names

    @property
    def _contributing(self) -> tuple[Contributions, MaskGroups]:
        """Of masks, since crops of one are not independent; some may have none.

        Raises UnknownCountsError where crops are drawn by class.
        """
        index = {name: at for at, name in enumerate(self._group_names)}
        groups = self.groups
        if self.counts.names != self._group_names:
            groups = groups.take([index[name] for name in self.counts.names])
        return self.counts.contributions, groups

    @property
    def _sample(self) -> Callable[[], tuple[Contributions, MaskGroups]] | None:
        return None if self.recipe.draws is not None else super()._sample

    @property
    def does(self) -> str:
        """What lies between the masks and the loss, in a few words."""
        return self.counts.words

    @property
    def frequency(self) -> FloatArray:
        """float64[K], shares of the classes among pixels that have one, exact."""
        return self.counts.frequency

    @property
    def in_crops(self) -> FloatArray:
        """float64[K], the chance that a crop contains each class."""
        return self.counts.in_crops

    def in_batches(self, batch_size: int | None = None) -> FloatArray:
        """float64[K], the chance that a batch contains each class; of the recipe's size."""
        return self.counts.in_batches(batch_size)

    def to_document(self) -> dict[str, Any]:
        """What `maskstat exposure --json` prints: folder and exposure side by side, by class."""
        from maskstat.render.documents.exposure import exposure_document

        return exposure_document(self.folder, self.counts, self.left_out)

    def to_pandas(self) -> DataFrame:
        """A row a class: the same. Raises MissingExtraError without pandas."""
        rows = self.to_document()["classes"]
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "name"}
        return data_frame(columns, {"class": [row["name"] for row in rows]})

    @property
    def _batch_rows(self) -> MaskLedger:
        return self.counts.crops

    @property
    def _batching(self) -> Batching:
        from maskstat.exposure.units import REPLICATES
        from maskstat.weights.batches import Batching

        counts = self.counts
        return Batching(
            drop_last=self.recipe.last_batch != "keep",
            crops=counts.crops_per_mask,
            replicates=min(REPLICATES, counts.crops_per_mask),
            processes=self.recipe.processes,
            draws=None if counts.shuffled else counts.draws,
            masks=len(counts.names),
        )

    def _batch_size(self, average: Average | None, given: int | None) -> int | None:
        """The recipe's, where it says one."""
        if given is None and average == "batch" and self.recipe.batch_size > 1:
            return self.recipe.batch_size
        return given

    @property
    def _identity(self) -> dict[str, object]:
        return {**self.folder._identity, "recipe": self.recipe.to_dict(), "does": self.does}
