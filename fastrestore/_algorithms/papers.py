"""Papers that `Info.methods_text` cites. `CITATION.cff` has these and all others."""

from __future__ import annotations

PAPERS = {
    "bm3d": 'K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D '
    'transform-domain collaborative filtering", IEEE Trans. Image Process. 16(8), 2007, '
    "doi:10.1109/TIP.2007.901238.",
    "variance": 'Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise: '
    'exact transform-domain variance for improved shrinkage and patch matching", IEEE Trans. Image '
    "Process. 29, 2020, doi:10.1109/TIP.2020.3014721.",
    "vbm3d": 'K. Dabov, A. Foi, K. Egiazarian, "Video denoising by sparse 3D transform-domain '
    'collaborative filtering", EUSIPCO 2007.',
    "bm4d": 'M. Maggioni, V. Katkovnik, K. Egiazarian, A. Foi, "Nonlocal transform-domain filter '
    'for volumetric data denoising and reconstruction", IEEE Trans. Image Process. 22(1), 2013, '
    "doi:10.1109/TIP.2012.2210725.",
    "sharpen": 'K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Joint image sharpening and '
    'denoising by 3D transform-domain collaborative filtering", SMMSP 2007.',
    "level": 'X. Liu, M. Tanaka, M. Okutomi, "Single-image noise level estimation for blind '
    'denoising", IEEE Trans. Image Process. 22(12), 2013, doi:10.1109/TIP.2013.2283400.',
    "counts": 'A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian '
    'noise modeling and fitting for single-image raw-data", IEEE Trans. Image Process. 17(10), '
    "2008, doi:10.1109/TIP.2008.2001399.",
    "anscombe": 'M. Mäkitalo, A. Foi, "Optimal inversion of the generalized Anscombe '
    'transformation for Poisson-Gaussian noise", IEEE Trans. Image Process. 22(1), 2013, '
    "doi:10.1109/TIP.2012.2202675.",
    "few photons": 'L. Azzari, A. Foi, "Variance stabilization for noisy+estimate combination in '
    'iterative Poisson denoising", IEEE Signal Process. Lett. 23(8), 2016.',
    "rician": 'A. Foi, "Noise estimation and removal in MR imaging: the variance-stabilization '
    'approach", IEEE Int. Symp. Biomedical Imaging, 2011, doi:10.1109/ISBI.2011.5872758.',
    "residual": 'M. Lebrun, M. Colom, J.-M. Morel, "The noise clinic: a blind image denoising '
    'algorithm", Image Processing On Line 5, 2015.',
    "splitting": 'D. Geman, C. Yang, "Nonlinear image recovery with half-quadratic '
    'regularization", IEEE Trans. Image Process. 4(7), 1995, doi:10.1109/83.392335.',
    "prior": 'K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, "Plug-and-play image '
    'restoration with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44(10), 2022, '
    "doi:10.1109/TPAMI.2021.3088914.",
    "hybrid": 'Y. Guo, A. Davy, G. Facciolo, J.-M. Morel, Q. Jin, "Fast, nonlocal and neural: a '
    'lightweight high quality solution to image denoising", IEEE Signal Process. Lett. 28, 2021.',
    "sure": 'S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of '
    'regularization parameters for general denoising algorithms", IEEE Trans. Image Process. '
    "17(9), 2008, doi:10.1109/TIP.2008.2001404.",
}


class Citations:
    """Papers in the order in which a text cites them."""

    def __init__(self, **others: str) -> None:
        self.papers = PAPERS | others
        self.cited: list[str] = []

    def of(self, *names: str) -> str:
        """Return the numbers of papers in brackets."""
        self.cited += [name for name in names if name not in self.cited]
        return f"[{', '.join(str(self.cited.index(name) + 1) for name in names)}]"

    def listed(self) -> str:
        """Return the list of the papers, one a line."""
        return "\n".join(f"[{n}] {self.papers[name]}" for n, name in enumerate(self.cited, 1))
