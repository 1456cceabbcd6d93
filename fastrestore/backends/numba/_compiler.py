"""Compilation of kernels by Numba in little more than half of its usual time.

Numba optimizes each function, compiles it to machine code, and optimizes it again as part of each
function that calls it. Here the functions that only kernels call, the parts of kernels, are neither
optimized nor compiled to machine code before they are part of a kernel.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher

# For array expressions, closures and loops over tuples, which kernels do not have
SKIPPED = (
    typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.InlineClosureLikes,
    untyped_passes.LiteralPropagationSubPipelinePass,
    untyped_passes.LiteralUnroll,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.WithLifting,
)


class KernelLibrary(JITCodeLibrary):
    """Code of a kernel, optimized once, together with its parts."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)


class PartLibrary(KernelLibrary):
    """Code of a part, as it is."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _Lowering(typed_passes.NativeLowering):
    """Lowering to a library of this module."""

    library_class: type[KernelLibrary]

    def run_pass(self, state: Any) -> bool:
        state.library = self.library_class(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        done: bool = super().run_pass(state)
        return done


@register_pass(mutates_CFG=True, analysis_only=False)
class KernelLowering(_Lowering):
    """Lowering of a kernel."""

    _name = "kernel_lowering"
    library_class = KernelLibrary


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(_Lowering):
    """Lowering of a part."""

    _name = "part_lowering"
    library_class = PartLibrary

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = True
        super().run_pass(state)
        entry = object()  # a key, by which callers find the code
        state.targetctx.insert_user_function(entry, state["cr"].fndesc, [state.library])
        state["cr"] = state["cr"]._replace(cfunc=entry)
        return True


class KernelCompiler(CompilerBase):
    """Compiler of kernels."""

    lowering: type[_Lowering] = KernelLowering

    def define_pipelines(self) -> list[Any]:
        """Replace the lowering, and leave out passes without effect on kernels."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [
            (self.lowering if each is typed_passes.NativeLowering else each, text)
            for each, text in manager.passes
            if each not in SKIPPED
        ]
        manager.finalize()
        return [manager]

    def compile_extra(self, func: Any) -> Any:
        with _without_collection():
            return super().compile_extra(func)


class PartCompiler(KernelCompiler):
    """Compiler of parts."""

    lowering = PartLowering


class Part(CPUDispatcher):
    """A function that only kernels can call."""

    def add_overload(self, cres: Any) -> None:
        """Make a compiled signature known to callers."""
        self.overloads[tuple(cres.signature.args)] = cres


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Stop the search for garbage, which takes a tenth of the time and finds little."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
